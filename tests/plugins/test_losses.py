from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import softplus

from distillbench.errors import ConfigError
from distillbench.interfaces import (
    NO_FRAME,
    Encoding,
    LabelLoss,
    LossBatch,
    LossContext,
    MatchingLoss,
    Output,
    Shapes,
    States,
)
from distillbench_plugins.losses.ce import CrossEntropy
from distillbench_plugins.losses.pred import Prediction
from distillbench_plugins.losses.rep import Representation
from distillbench_plugins.losses.rep_intermediate import IntermediateRepresentation

SHAPES = Shapes(summary=6, states={"lower": 6}, classes=5)
CONTEXT = LossContext(SHAPES, SHAPES, videos=40)
LOSSES: dict[str, LabelLoss | MatchingLoss] = {
    "ce": CrossEntropy(CONTEXT),
    "ce-smoothed": CrossEntropy(CONTEXT, label_smoothing=0.1),
    "rep": Representation(CONTEXT),
    "rep-intermediate": IntermediateRepresentation(CONTEXT),
    "pred-bernoulli": Prediction(CONTEXT),
    "pred-categorical": Prediction(CONTEXT, divergence="categorical"),
    "pred-squared": Prediction(CONTEXT, divergence="squared"),
}
MATCHES = [name for name in LOSSES if not name.startswith("ce")]


def output(
    times: list[list[int]], seed: int = 0, scale: float = 1.0, dtype: torch.dtype = torch.float32
) -> Output:
    drawn = torch.Generator().manual_seed(seed)

    def values(*shape: int) -> Tensor:
        return (scale * torch.randn(*shape, generator=drawn)).to(dtype).requires_grad_()

    at = torch.tensor(times)
    return Output(
        Encoding(values(len(at), 6), {"lower": States(values(*at.shape, 6), at)}),
        values(len(at), 5),
    )


def labels_of(videos: int) -> Tensor:
    return (torch.arange(videos * 5).view(videos, 5) % 3 == 0).float()


def states_of(one: Output) -> Tensor:
    return one.encoding.states["lower"].values


def value_of(
    loss: LabelLoss | MatchingLoss, student: Output, teacher: Output, labels: Tensor
) -> Tensor:
    batch = LossBatch(labels, torch.arange(len(labels)))
    value: Tensor = (
        loss(student, batch) if isinstance(loss, LabelLoss) else loss(student, teacher, batch)
    )
    return value


TEACHER_TIMES = [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, NO_FRAME, NO_FRAME]]
STUDENT_TIMES = [[0, 2, 4], [1, 3, NO_FRAME]]


def pair(scale: float = 1.0, dtype: torch.dtype = torch.float32) -> tuple[Output, Output]:
    return output(STUDENT_TIMES, 1, scale, dtype), output(TEACHER_TIMES, 2, scale, dtype)


def doubled(one: Output) -> Output:
    states = one.encoding.states["lower"]
    twice = States(states.values.repeat(2, 1, 1), states.times.repeat(2, 1))
    return Output(
        Encoding(one.encoding.summary.repeat(2, 1), {"lower": twice}), one.logits.repeat(2, 1)
    )


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_one_finite_scalar_that_pulls_only_the_student(name: str) -> None:
    student, teacher = pair()
    value = value_of(LOSSES[name], student, teacher, labels_of(2))
    value.backward()
    assert value.shape == ()
    assert value.isfinite()
    assert student.encoding.summary.grad is not None or student.logits.grad is not None
    assert teacher.encoding.summary.grad is None
    assert teacher.logits.grad is None
    assert states_of(teacher).grad is None


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_joined_with_itself_changes_nothing(name: str) -> None:
    student, teacher = pair()
    once = value_of(LOSSES[name], student, teacher, labels_of(2))
    torch.testing.assert_close(
        value_of(LOSSES[name], doubled(student), doubled(teacher), labels_of(2).repeat(2, 1)), once
    )


@pytest.mark.parametrize("name", MATCHES)
def test_a_match_is_zero_and_pulls_nowhere_where_the_student_is_the_teacher(name: str) -> None:
    student, teacher = output(TEACHER_TIMES), output(TEACHER_TIMES)
    value = value_of(LOSSES[name], student, teacher, labels_of(2))
    value.backward()
    assert value.abs() < 1e-6
    for part in (student.encoding.summary, student.logits):
        assert part.grad is None or part.grad.abs().max() < 1e-6


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_logits_of_fifty_and_bfloat16_stay_finite_and_are_summed_in_float32(
    name: str, dtype: torch.dtype
) -> None:
    student, teacher = pair(scale=50.0, dtype=dtype)
    value = value_of(LOSSES[name], student, teacher, labels_of(2))
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    for part in (student.encoding.summary, student.logits):
        assert part.grad is None or bool(part.grad.isfinite().all())


@pytest.mark.parametrize("name", MATCHES)
def test_descending_a_match_brings_the_student_nearer(name: str) -> None:
    student, teacher = pair()
    before = value_of(LOSSES[name], student, teacher, labels_of(2))
    before.backward()
    with torch.no_grad():
        for part in (student.encoding.summary, states_of(student), student.logits):
            if part.grad is not None:
                part -= 0.01 * part.grad
    assert value_of(LOSSES[name], student, teacher, labels_of(2)) < before


def test_cross_entropy_sums_over_classes_and_averages_over_the_batch() -> None:
    student, _ = pair()
    labels = labels_of(2)
    p = student.logits.sigmoid()
    by_hand = -(labels * p.log() + (1 - labels) * (1 - p).log()).sum() / 2
    torch.testing.assert_close(value_of(CrossEntropy(CONTEXT), student, student, labels), by_hand)
    smoothed = value_of(CrossEntropy(CONTEXT, label_smoothing=0.2), student, student, labels)
    torch.testing.assert_close(
        smoothed, value_of(CrossEntropy(CONTEXT), student, student, 0.8 * labels + 0.1)
    )


def test_label_smoothing_beyond_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="label_smoothing=2"):
        CrossEntropy(CONTEXT, label_smoothing=2.0)


def test_rep_is_the_squared_distance_of_encodings() -> None:
    student, teacher = pair()
    by_hand = ((student.encoding.summary - teacher.encoding.summary) ** 2).sum() / 2
    torch.testing.assert_close(value_of(LOSSES["rep"], student, teacher, labels_of(2)), by_hand)


def test_rep_intermediate_compares_states_after_the_same_frames_from_position_one_on() -> None:
    student, teacher = pair()
    ours, theirs = states_of(student), states_of(teacher)
    same_frames = [
        (0, 1, 2),
        (0, 2, 4),
        (1, 1, 3),
    ]  # video, the student's position, the teacher's frame
    between = sum(((ours[v, p] - theirs[v, t]) ** 2).sum() for v, p, t in same_frames) / 2
    inner = value_of(
        IntermediateRepresentation(CONTEXT, final=False), student, teacher, labels_of(2)
    )
    torch.testing.assert_close(inner, between)
    final = value_of(LOSSES["rep"], student, teacher, labels_of(2))
    torch.testing.assert_close(
        value_of(LOSSES["rep-intermediate"], student, teacher, labels_of(2)), inner + final
    )


def test_rep_intermediate_leaves_out_frames_the_teacher_did_not_see() -> None:
    student, teacher = output([[0, 2, 9]]), output([[0, 2, 4]], seed=1)
    value_of(IntermediateRepresentation(CONTEXT), student, teacher, labels_of(1)).backward()
    pulled = states_of(student).grad
    assert pulled is not None
    assert pulled.any(2).tolist() == [[False, True, False]]


def test_rep_intermediate_of_a_single_frame_is_the_final_match() -> None:
    student, teacher = output([[3]]), output([[0, 1, 2, 3]], seed=1)
    together = value_of(LOSSES["rep-intermediate"], student, teacher, labels_of(1))
    torch.testing.assert_close(together, value_of(LOSSES["rep"], student, teacher, labels_of(1)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.sampled_from([0.5, 3.0, 20.0]))
def test_bernoulli_divergence_agrees_with_float64_and_is_never_negative(
    seed: int, scale: float
) -> None:
    student, teacher = output([[0]], seed, scale), output([[0]], seed + 1, scale)
    value = value_of(LOSSES["pred-bernoulli"], student, teacher, labels_of(1))
    t, s = teacher.logits.double(), student.logits.double()
    cross = t.sigmoid() * softplus(-s) + (-t).sigmoid() * softplus(
        s
    )  # torch's own divergence overflows at such logits
    exact = (cross - t.sigmoid() * softplus(-t) - (-t).sigmoid() * softplus(t)).sum()
    assert value >= -1e-6
    torch.testing.assert_close(value.double(), exact, rtol=1e-4, atol=1e-5)


def test_categorical_divergence_is_that_of_the_sigmoids_normalised_over_classes() -> None:
    student, teacher = pair()
    p, q = teacher.logits.sigmoid(), student.logits.sigmoid()
    p, q = p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)
    value = value_of(LOSSES["pred-categorical"], student, teacher, labels_of(2))
    torch.testing.assert_close(value, (p * (p / q).log()).sum() / 2)


def test_squared_divergence_is_that_of_probabilities_and_the_sum_is_as_released() -> None:
    student, teacher = pair()
    by_hand = ((teacher.logits.sigmoid() - student.logits.sigmoid()) ** 2).sum()
    torch.testing.assert_close(
        value_of(LOSSES["pred-squared"], student, teacher, labels_of(2)), by_hand / 2
    )
    released = Prediction(CONTEXT, divergence="squared", reduction="sum")
    torch.testing.assert_close(value_of(released, student, teacher, labels_of(2)), by_hand)


@pytest.mark.parametrize("name", LOSSES)
def test_requirements_declare_what_the_loss_reads(name: str) -> None:
    needs = LOSSES[name].requirements.needs
    assert ("labels" in needs) == (name not in MATCHES)
    student, teacher = pair()
    value_of(LOSSES[name], student, teacher, labels_of(2)).backward()
    assert ("logits" in needs) == (student.logits.grad is not None)
    assert ("summary" in needs) == (student.encoding.summary.grad is not None)
    assert ("states" in needs) == (states_of(student).grad is not None)
