"""Losses with weights, memories or chance of their own agree with loops over videos and layers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from plugins.loss_outputs import (
    BATCH,
    CLASSES,
    LABELS,
    SHAPES,
    STUDENT_TIMES,
    TEACHER_TIMES,
    VIDEOS,
    WIDER,
    WIDTH,
    Array,
    aligned,
    drawn,
    length,
    output,
    sigmoid,
)
from torch import nn

from distillbench.interfaces import (
    NO_FRAME,
    Encoding,
    LossContext,
    Output,
    Shapes,
    States,
)
from distillbench_plugins.losses.crd import ContrastiveRepresentation, _products
from distillbench_plugins.losses.mgd import MaskedGeneration
from distillbench_plugins.losses.review import Review, hierarchical_context
from distillbench_plugins.losses.vid import VariationalInformation


def test_a_review_fuses_later_layers_into_earlier_ones() -> None:
    """Compared with loops over videos, frames and parts; the gradient is autograd's."""
    shapes = Shapes(WIDTH, {"first": WIDTH, "second": 2}, CLASSES)
    wider = Shapes(WIDTH, {"first": 3, "second": WIDTH + 3}, CLASSES)
    torch.manual_seed(0)
    loss = Review(LossContext(shapes, wider, 40), width=5).double()
    student = {"first": drawn("states", 1, False, WIDTH), "second": drawn("states", 2, False, 2)}
    teacher = {
        "first": drawn("states", 3, True, 3),
        "second": drawn("states", 4, True, WIDTH + 3),
    }

    def outputs(states: dict[str, Array], times: Array) -> Output:
        made = {
            name: States(torch.from_numpy(values), torch.from_numpy(times))
            for name, values in states.items()
        }
        return Output(Encoding(torch.zeros(VIDEOS, WIDTH), made), torch.zeros(VIDEOS, CLASSES))

    def matrix(layer: nn.Module) -> Array:
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        return weight.detach().numpy()

    gate = loss.gates[0]
    assert isinstance(gate, nn.Linear)
    total = 0.0
    for video in range(VIDEOS):
        seen = STUDENT_TIMES[video] != NO_FRAME
        deep = student["second"][video, seen] @ matrix(loss.narrow[0]).T
        narrow = student["first"][video, seen] @ matrix(loss.narrow[1]).T
        gates = sigmoid(np.hstack([narrow, deep]) @ matrix(gate).T + gate.bias.detach().numpy())
        for name, fused, place in (
            ("second", deep, 0),
            ("first", narrow * gates[:, :1] + deep * gates[:, 1:], 1),
        ):
            kernel, padded = matrix(loss.spread[place]), np.pad(fused, ((1, 1), (0, 0)))
            made = np.stack(
                [sum(kernel[:, :, i] @ padded[t + i] for i in range(3)) for t in range(len(fused))]
            )
            theirs = aligned(teacher[name])[0][video, seen]
            error, weights = ((made - theirs) ** 2).mean(), 1.0
            for level, parts in enumerate((4, 2, 1), start=1):
                if parts < len(made):
                    cut = [
                        slice(i * len(made) // parts, math.ceil((i + 1) * len(made) / parts))
                        for i in range(parts)
                    ]
                    means = [made[part].mean(0) - theirs[part].mean(0) for part in cut]
                    error += 0.5**level * (np.stack(means) ** 2).mean()
                    weights += 0.5**level
            total += error / weights
    value = loss(outputs(student, STUDENT_TIMES), outputs(teacher, TEACHER_TIMES), BATCH)
    np.testing.assert_allclose(value.item(), total / VIDEOS, rtol=1e-9)


@pytest.mark.parametrize("frames", [3, 9])
def test_hierarchical_context_pools_as_torch_does(frames: int) -> None:
    """As published code has it, where all videos are equally long."""
    student, teacher = (
        torch.from_numpy(np.random.default_rng(i).standard_normal((4, frames, 5))) for i in (1, 2)
    )
    error, weights = (student - teacher).square().mean(), 1.0
    for level, parts in enumerate((4, 2, 1), start=1):
        if parts < frames:
            ours, theirs = (
                nn.functional.adaptive_avg_pool1d(each.transpose(1, 2), parts)
                for each in (student, teacher)
            )
            error = error + 0.5**level * (ours - theirs).square().mean()
            weights += 0.5**level
    both = torch.ones(4, frames, dtype=torch.bool)
    torch.testing.assert_close(hierarchical_context(student, teacher, both), error / weights)


def test_variational_information_is_a_gaussians_likelihood() -> None:
    loss = VariationalInformation(WIDER, variance=2.0).double()
    student, teacher = drawn("summary", 1, False, WIDTH), drawn("summary", 2, True, WIDTH + 3)
    first, _, second = loss.mean
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    weights = [p.detach().numpy() for p in (first.weight, first.bias, second.weight, second.bias)]
    hidden = np.maximum(student @ weights[0].T + weights[1], 0)
    apart = teacher - (hidden @ weights[2].T + weights[3])
    expected = (0.5 * math.log(2.0) + apart**2 / 4.0).sum(1).mean()
    value = loss(
        output("summary", torch.from_numpy(student), False),
        output("summary", torch.from_numpy(teacher), True),
        BATCH,
    )
    np.testing.assert_allclose(value.item(), expected, rtol=1e-7)  # begun in float32
    loss.scale.data.fill_(math.log(math.expm1(2.0 - 1e-5)))
    value = loss(
        output("summary", torch.from_numpy(student), False),
        output("summary", torch.from_numpy(teacher), True),
        BATCH,
    )
    np.testing.assert_allclose(value.item(), expected, rtol=1e-9)


def test_contrast_is_with_every_other_video_or_with_those_without_a_shared_label() -> None:
    """Compared with a loop over videos; the gradient is autograd's, of operations tested elsewhere."""
    torch.manual_seed(0)
    student, teacher = drawn("summary", 1, False, WIDTH), drawn("summary", 2, True, WIDTH + 3)
    for positives in ("video", "labels"):
        loss = ContrastiveRepresentation(WIDER, width=3, negatives=0, positives=positives).double()
        for _ in range(2):  # the second time the memories of this batch have moved
            banks = {
                side: getattr(loss, f"{side}_bank").numpy().copy()
                for side in ("student", "teacher")
            }
            held = loss.labels_bank.numpy().copy()
            value = loss(
                output("summary", torch.from_numpy(student), False),
                output("summary", torch.from_numpy(teacher), True),
                BATCH,
            )
            np.testing.assert_allclose(
                value.item(), crd(loss, student, teacher, banks, held, positives), rtol=1e-9
            )
            loss.after_step()
        assert np.abs(loss.teacher_bank.numpy() - banks["teacher"])[:VIDEOS].max() > 0
        np.testing.assert_array_equal(loss.labels_bank[:VIDEOS].numpy(), LABELS)


@pytest.mark.parametrize("negatives", [2, 5, 40])
def test_products_with_a_few_memories_are_those_with_all(negatives: int) -> None:
    """Of 40 memories the products with all are cheaper than a choice of 5 or more."""
    rows = np.random.default_rng(0)
    anchors, bank = rows.standard_normal((VIDEOS, WIDTH)), rows.standard_normal((40, WIDTH))
    others = rows.integers(40, size=(VIDEOS, negatives))
    found = _products(*(torch.from_numpy(each) for each in (anchors, bank, others)))
    np.testing.assert_allclose(found.numpy(), np.einsum("bw,bnw->bn", anchors, bank[others]))


def test_a_share_of_negatives_is_not_rounded_to_float32() -> None:
    """N / M = 1 / 3 has no exact value in either, and the formula is the paper's to 1e-9."""
    torch.manual_seed(0)
    context = LossContext(SHAPES, SHAPES, 3)
    loss = ContrastiveRepresentation(context, width=3, negatives=1).double()
    values = torch.tensor([0.3, -2.0], dtype=torch.float64)
    expected = -np.log(np.exp(values.numpy()) / (np.exp(values.numpy()) + 1 / 3))
    np.testing.assert_allclose(loss._known(values).numpy(), expected, rtol=1e-12)


def crd(
    loss: ContrastiveRepresentation,
    student: Array,
    teacher: Array,
    banks: dict[str, Array],
    held: Array,
    positives: str,
) -> float:
    def project(layer: nn.Linear, rows: Array) -> Array:
        made = rows @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        return made / length(made)

    g_s, g_t, share = project(loss.student, student), project(loss.teacher, teacher), 40 / 40

    def h(one: Array, other: Array) -> float:
        likeness = math.exp(one @ other / 0.07)
        return likeness / (likeness + share)

    total = 0.0
    for video in range(VIDEOS):
        total -= 2 * math.log(h(g_s[video], g_t[video]))
        for other in range(40):
            shares = positives == "labels" and (held[other] * LABELS[video]).sum() > 0
            if other != video and not shares:
                total -= math.log(1 - h(g_s[video], banks["teacher"][other]))
                total -= math.log(1 - h(g_t[video], banks["student"][other]))
    return total / VIDEOS


def test_masked_generation_sees_no_masked_frame() -> None:
    loss = MaskedGeneration(WIDER, masked=0.0).double()
    student, teacher = drawn("states", 1, False, WIDTH), drawn("states", 2, True, WIDTH + 3)
    theirs, both = aligned(teacher)
    first, _, second = loss.generate
    assert isinstance(first, nn.Conv1d)
    assert isinstance(second, nn.Conv1d)

    def convolved(layer: nn.Conv1d, rows: Array) -> Array:
        padded = np.pad(rows, ((1, 1), (0, 0)))
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()  # type: ignore[union-attr]
        return np.stack(
            [
                sum(weight[:, :, i] @ padded[t + i] for i in range(3)) + bias
                for t in range(len(rows))
            ]
        )

    align = loss.align.weight.detach().numpy(), loss.align.bias.detach().numpy()
    total = 0.0
    for video in range(VIDEOS):
        rows = (student[video] @ align[0].T + align[1]) * both[video][:, None]
        made = convolved(second, np.maximum(convolved(first, rows), 0))
        total += ((made - theirs[video]) ** 2 * both[video][:, None]).sum()
    outputs = (
        output("states", torch.from_numpy(student), False),
        output("states", torch.from_numpy(teacher), True),
    )
    np.testing.assert_allclose(loss(*outputs, BATCH).item(), total / VIDEOS, rtol=1e-9)
    masking = MaskedGeneration(WIDER, masked=0.9).double()
    assert len({masking(*outputs, BATCH).item() for _ in range(3)}) > 1
