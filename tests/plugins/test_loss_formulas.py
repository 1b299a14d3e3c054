"""Each loss agrees with its paper's formula, written in numpy, in value and in gradient.

Gradients of the formulas are taken by a complex step, which is exact to the last digits: the
imaginary part of f(x + i h v) / h is the derivative along v.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from distillbench.errors import ConfigError, NotApplicableError
from distillbench.interfaces import (
    NO_FRAME,
    Encoding,
    LossBatch,
    LossContext,
    MatchingLoss,
    Output,
    Shapes,
    States,
)
from distillbench_plugins.losses.ab import ActivationBoundary
from distillbench_plugins.losses.at import AttentionTransfer
from distillbench_plugins.losses.cc import CorrelationCongruence
from distillbench_plugins.losses.cosine import Cosine
from distillbench_plugins.losses.crd import ContrastiveRepresentation
from distillbench_plugins.losses.dist import RelationMatch
from distillbench_plugins.losses.dkd import DecoupledDistillation
from distillbench_plugins.losses.fsp import Flow
from distillbench_plugins.losses.hint import Hint
from distillbench_plugins.losses.kd import KnowledgeDistillation
from distillbench_plugins.losses.kd_standardized import StandardizedDistillation
from distillbench_plugins.losses.logit_mse import LogitMatch
from distillbench_plugins.losses.mgd import MaskedGeneration
from distillbench_plugins.losses.nkd import NormalizedDistillation
from distillbench_plugins.losses.nst import NeuronSelectivity
from distillbench_plugins.losses.pkt import ProbabilisticTransfer
from distillbench_plugins.losses.pred import Prediction
from distillbench_plugins.losses.rkd import Relations
from distillbench_plugins.losses.soft_bce import SoftLabels
from distillbench_plugins.losses.sp import SimilarityPreserving
from distillbench_plugins.losses.vid import VariationalInformation

Array = NDArray[Any]
VIDEOS, CLASSES, WIDTH, FRAMES = 5, 4, 6, 3
SHAPES = Shapes(summary=WIDTH, states={"layer": WIDTH}, classes=CLASSES)
OTHER = Shapes(summary=WIDTH + 3, states={"layer": WIDTH + 3}, classes=CLASSES)
STEP = 1e-30
STUDENT_TIMES = np.array([[0, 2, 4]] * (VIDEOS - 1) + [[1, 3, NO_FRAME]])
TEACHER_TIMES = np.array([[0, 1, 2, 3, 4]] * (VIDEOS - 1) + [[0, 1, 2, 3, NO_FRAME]])


# ----------------------------------------------------------------------- what formulas are made of


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.real.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def sigmoid(logits: Array) -> Array:
    return 1 / (1 + np.exp(-logits))


def length(rows: Array, axis: int = -1) -> Array:
    return np.sqrt((rows * rows).sum(axis, keepdims=True))


def size(values: Array) -> Array:
    return np.where(values.real < 0, -values, values)


def divergence(teacher: Array, student: Array) -> Array:
    return (teacher * (np.log(teacher) - np.log(student))).sum(1)


def huber(first: Array, second: Array) -> Array:
    apart = first - second
    return np.where(np.abs(apart.real) < 1, apart * apart / 2, size(apart) - 0.5)


def pearson(first: Array, second: Array) -> Any:
    ours, theirs = first - first.mean(), second - second.mean()
    return (ours * theirs).sum() / np.sqrt((ours * ours).sum() * (theirs * theirs).sum())


# ------------------------------------------------------------------------------------ the formulas


def kd(s: Array, t: Array, labels: Array, temperature: float = 4.0) -> Any:
    return temperature**2 * divergence(softmax(t / temperature), softmax(s / temperature)).mean()


def kd_standardized(s: Array, t: Array, labels: Array) -> Any:
    def scores(z: Array) -> Array:
        mean = z.mean(1, keepdims=True)
        return (z - mean) / np.sqrt(((z - mean) ** 2).mean(1, keepdims=True))

    return kd(scores(s), scores(t), labels, 2.0)


def logit_mse(s: Array, t: Array, labels: Array) -> Any:
    return sum(((s[i] - t[i]) ** 2).sum() / 2 for i in range(len(s))) / len(s)


def soft_bce(s: Array, t: Array, labels: Array) -> Any:
    target, p = 0.3 * sigmoid(t) + 0.7 * labels, sigmoid(s)
    return -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum() / len(s)


def multi_label_kd(s: Array, t: Array, labels: Array, temperature: float = 3.0) -> Any:
    p, q = sigmoid(t / temperature), sigmoid(s / temperature)
    both = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    return temperature**2 * both.sum() / len(s)


def dist(s: Array, t: Array, labels: Array) -> Any:
    p, q = softmax(s / 2.0), softmax(t / 2.0)
    inter = sum(1 - pearson(p[i], q[i]) for i in range(len(p))) / len(p)
    intra = sum(1 - pearson(p[:, j], q[:, j]) for j in range(p.shape[1])) / p.shape[1]
    return 0.7 * inter + 1.3 * intra


def dist_sigmoid(s: Array, t: Array, labels: Array) -> Any:
    p, q = sigmoid(s), sigmoid(t)
    inter = sum(1 - pearson(p[i], q[i]) for i in range(len(p))) / len(p)
    taken = [j for j in range(p.shape[1]) if min(p[:, j].real.var(), q[:, j].real.var()) > 0.035]
    assert 0 < len(taken) < p.shape[1]
    return inter + sum(1 - pearson(p[:, j], q[:, j]) for j in taken) / len(taken)


def dkd(s: Array, t: Array, labels: Array) -> Any:
    total: Any = 0
    for video, one in enumerate(labels.argmax(1)):
        p, q = softmax(s[[video]] / 4.0)[0], softmax(t[[video]] / 4.0)[0]
        rest = [j for j in range(CLASSES) if j != one]
        b_p, b_q = np.array([p[one], p[rest].sum()]), np.array([q[one], q[rest].sum()])
        n_p, n_q = p[rest] / p[rest].sum(), q[rest] / q[rest].sum()
        total = (
            total + divergence(b_q[None], b_p[None])[0] + 8 * divergence(n_q[None], n_p[None])[0]
        )
    return 16 * total / len(s)


def nkd(s: Array, t: Array, labels: Array) -> Any:
    total: Any = 0
    for video, one in enumerate(labels.argmax(1)):
        rest = [j for j in range(CLASSES) if j != one]
        p, q = softmax(s[[video]])[0], softmax(t[[video]])[0]
        hot_p, hot_q = softmax(s[[video]] / 2.0)[0][rest], softmax(t[[video]] / 2.0)[0][rest]
        others = (hot_q / hot_q.sum() * np.log(hot_p / hot_p.sum())).sum()
        total = total - q[one] * np.log(p[one]) - 1.5 * 4.0 * others
    return total / len(s)


def hint(s: Array, t: Array, labels: Array) -> Any:
    return ((s - t) ** 2).mean()


def cosine(s: Array, t: Array, labels: Array) -> Any:
    return (1 - (s * t).sum(1, keepdims=True) / (length(s) * length(t))).mean()


def sp(s: Array, t: Array, labels: Array) -> Any:
    def rows(e: Array) -> Array:
        gram = e @ e.T
        return gram / length(gram)

    return ((rows(s) - rows(t)) ** 2).sum() / len(s) ** 2


def cc(s: Array, t: Array, labels: Array) -> Any:
    def kernel(e: Array) -> Array:
        x = 2 * 0.4 * (e / length(e)) @ (e / length(e)).T
        return math.exp(-2 * 0.4) * (1 + x + x * x / 2)

    return ((kernel(s) - kernel(t)) ** 2).sum() / len(s) ** 2


def rkd(s: Array, t: Array, labels: Array) -> Any:
    everyone = range(len(s))

    def distances(e: Array) -> Array:
        apart = np.zeros((len(e), len(e)), e.dtype)
        for i, j in product(everyone, everyone):
            if i != j:
                apart[i, j] = np.sqrt(((e[i] - e[j]) ** 2).sum())
        return apart / (apart.sum() / (len(e) * (len(e) - 1)))

    def angles(e: Array) -> Array:
        found = np.zeros((len(e),) * 3, e.dtype)
        for i, j, k in product(everyone, everyone, everyone):
            if j not in (i, k) and i != j and k != j:
                a, b = e[i] - e[j], e[k] - e[j]
                found[j, i, k] = (a * b).sum() / (length(a) * length(b))[0]
        return found

    return huber(distances(s), distances(t)).mean() + 2 * huber(angles(s), angles(t)).mean()


def pkt(s: Array, t: Array, labels: Array) -> Any:
    def neighbors(e: Array) -> Array:
        likeness = ((e / length(e)) @ (e / length(e)).T + 1) / 2
        return likeness / likeness.sum(1, keepdims=True)

    p, q = neighbors(t), neighbors(s)
    return (p * np.log((p + 1e-7) / (q + 1e-7))).mean()


def ab(s: Array, t: Array, labels: Array) -> Any:
    below = np.where((t.real > 0) & (s.real < 1), (1 - s) ** 2, 0)
    above = np.where((t.real <= 0) & (s.real > -1), (1 + s) ** 2, 0)
    return (below + above).sum() / len(s)


def aligned(t: Array) -> tuple[Array, Array]:
    """The teacher's states after the student's frames, and where both are."""
    found, both = np.zeros((VIDEOS, FRAMES, t.shape[2]), t.dtype), STUDENT_TIMES != NO_FRAME
    for video, place in zip(*both.nonzero(), strict=True):
        found[video, place] = t[
            video, list(TEACHER_TIMES[video]).index(STUDENT_TIMES[video, place])
        ]
    return found, both


def at(s: Array, t: Array, labels: Array) -> Any:
    theirs, both = aligned(t)
    total: Any = 0
    for video in range(VIDEOS):
        seen = both[video]
        ours, other = ((states[video, seen] ** 2).sum(1) for states in (s, theirs))
        total = total + ((ours / length(ours) - other / length(other)) ** 2).mean()
    return total / VIDEOS


def nst(s: Array, t: Array, labels: Array) -> Any:
    theirs, both = aligned(t)
    total: Any = 0
    for video in range(VIDEOS):
        seen = both[video]
        f, g = (states[video, seen] / length(states[video, seen], 0) for states in (s, theirs))
        total = total + ((f.T @ f) ** 2).mean() + ((g.T @ g) ** 2).mean()
        total = total - 2 * ((f.T @ g) ** 2).mean()
    return total / VIDEOS


def fsp(s: Array, t: Array, labels: Array) -> Any:
    theirs, both = aligned(t)
    total: Any = 0
    for video in range(VIDEOS):
        seen = both[video]
        f, g = s[video, seen], theirs[video, seen]
        total = total + ((f.T @ f / len(f) - g.T @ g / len(g)) ** 2).mean()
    return total / VIDEOS


# ---------------------------------------------------------------------------------------- the test

Formula = Callable[[Array, Array, Array], Any]
CONTEXT = LossContext(SHAPES, SHAPES, 40)
WIDER = LossContext(SHAPES, OTHER, 40)
CASES: dict[str, tuple[MatchingLoss, Formula, str]] = {
    "kd": (KnowledgeDistillation(CONTEXT), kd, "logits"),
    "kd-standardized": (StandardizedDistillation(CONTEXT), kd_standardized, "logits"),
    "logit-mse": (LogitMatch(CONTEXT), logit_mse, "logits"),
    "soft-bce": (SoftLabels(CONTEXT, teacher_share=0.3), soft_bce, "logits"),
    "pred": (Prediction(CONTEXT, temperature=3.0), multi_label_kd, "logits"),
    "dist": (
        RelationMatch(CONTEXT, inter=0.7, intra=1.3, temperature=2.0),
        dist,
        "logits",
    ),
    "dist-sigmoid": (
        RelationMatch(CONTEXT, form="sigmoid", variance_floor=0.035),
        dist_sigmoid,
        "logits",
    ),
    "dkd": (DecoupledDistillation(CONTEXT), dkd, "logits"),
    "nkd": (NormalizedDistillation(CONTEXT, temperature=2.0), nkd, "logits"),
    "fsp": (Flow(CONTEXT), fsp, "states"),
    "hint": (Hint(CONTEXT), hint, "summary"),
    "cosine": (Cosine(CONTEXT), cosine, "summary"),
    "sp": (SimilarityPreserving(WIDER), sp, "summary"),
    "cc": (CorrelationCongruence(WIDER), cc, "summary"),
    "rkd": (Relations(WIDER), rkd, "summary"),
    "pkt": (ProbabilisticTransfer(WIDER), pkt, "summary"),
    "ab": (ActivationBoundary(CONTEXT), ab, "summary"),
    "at": (AttentionTransfer(WIDER), at, "states"),
    "nst": (NeuronSelectivity(WIDER), nst, "states"),
}


def drawn(part: str, seed: int, teacher: bool, width: int) -> Array:
    rows = np.random.default_rng(seed)
    if part == "logits":
        return 2 * rows.standard_normal((VIDEOS, CLASSES)) * np.array([1, 1, 1, 0.3])
    if part == "summary":
        return rows.standard_normal((VIDEOS, width))
    return rows.standard_normal((VIDEOS, 5 if teacher else FRAMES, width))


def output(part: str, values: torch.Tensor, teacher: bool) -> Output:
    """An output of which one part is given and the rest is of no concern."""
    nothing = torch.zeros(VIDEOS, WIDTH, dtype=torch.float64)
    times = torch.from_numpy(TEACHER_TIMES if teacher else STUDENT_TIMES)
    states = {"layer": States(values, times)} if part == "states" else {}
    summary = values if part == "summary" else nothing
    return Output(Encoding(summary, states), values if part == "logits" else nothing[:, :CLASSES])


LABELS = (np.arange(VIDEOS * CLASSES).reshape(VIDEOS, CLASSES) % 3 == 0).astype(float)
BATCH = LossBatch(torch.from_numpy(LABELS), torch.arange(VIDEOS))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_the_papers(name: str, seed: int) -> None:
    loss, formula, part = CASES[name]
    wider = name in ("sp", "cc", "rkd", "pkt", "at", "nst")
    ours = drawn(part, seed, False, WIDTH)
    theirs = drawn(part, seed + 10, True, WIDTH + 3 if wider else WIDTH)
    values = torch.from_numpy(ours).requires_grad_()
    value = loss(output(part, values, False), output(part, torch.from_numpy(theirs), True), BATCH)
    value.backward()
    assert values.grad is not None
    np.testing.assert_allclose(value.item(), formula(ours, theirs, LABELS).real, rtol=1e-9)
    for way in range(3):
        along = np.random.default_rng(100 + way).standard_normal(ours.shape)
        if part == "states":
            along = along * (STUDENT_TIMES != NO_FRAME)[:, :, None]
        slope = formula(ours + 1j * STEP * along, theirs.astype(complex), LABELS).imag / STEP
        found = (values.grad.numpy() * along).sum()
        np.testing.assert_allclose(found, slope, rtol=1e-9, atol=1e-9 * abs(values.grad).max())


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


@pytest.mark.parametrize("cls", [Hint, Cosine, ActivationBoundary])
def test_a_narrower_student_is_projected(cls: type[MatchingLoss]) -> None:
    same, wider = cls(CONTEXT), cls(WIDER)
    assert list(same.parameters()) == []
    assert [tuple(p.shape) for p in wider.parameters()] == [(WIDTH + 3, WIDTH), (WIDTH + 3,)]


@pytest.mark.parametrize("cls", [AttentionTransfer, NeuronSelectivity])
def test_states_need_a_layer_that_both_have(cls: type[MatchingLoss]) -> None:
    without = LossContext(SHAPES, Shapes(WIDTH, {"other": WIDTH}, CLASSES), 40)
    with pytest.raises(NotApplicableError, match="the student has layer, the teacher other"):
        cls(without)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: KnowledgeDistillation(CONTEXT, temperature=0.0), "temperature=0.0"),
        (lambda: StandardizedDistillation(CONTEXT, temperature=-1.0), "temperature=-1.0"),
        (lambda: RelationMatch(CONTEXT, temperature=float("nan")), "temperature=nan"),
        (lambda: Prediction(CONTEXT, temperature=0.0), "temperature=0.0"),
        (lambda: SoftLabels(CONTEXT, teacher_share=1.5), "teacher_share=1.5"),
        (lambda: CorrelationCongruence(CONTEXT, gamma=0.0), "gamma=0.0"),
        (lambda: CorrelationCongruence(CONTEXT, order=0), "order=0"),
        (lambda: VariationalInformation(CONTEXT, variance=0.0), "variance=0.0"),
        (lambda: ActivationBoundary(CONTEXT, margin=0.0), "margin=0.0"),
        (lambda: AttentionTransfer(CONTEXT, power=0.0), "power=0.0"),
    ],
)
def test_knobs_out_of_range_are_refused(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        make()
