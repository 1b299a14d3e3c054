"""Losses that teach a selector agree with their formulas, written in numpy, in value and gradient.

Gradients of the formulas are taken by a complex step, as in loss_outputs.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.errors import ConfigError, NotApplicableError
from distillbench.interfaces import (
    NO_FRAME,
    Encoding,
    LossBatch,
    LossContext,
    MatchingLoss,
    Output,
    Selection,
    Shapes,
    States,
)
from distillbench_plugins.losses.match_saliency import MatchSaliency
from distillbench_plugins.losses.rank_frames import RankFrames
from distillbench_plugins.losses.reinforce import Reinforce

Array = NDArray[Any]
VIDEOS, FRAMES, CLASSES, STEP = 4, 5, 3, 1e-30
SHAPES = Shapes(summary=2, states={}, classes=CLASSES)
CONTEXT = LossContext(SHAPES, SHAPES, 40)
CANDIDATES = np.array([[0, 2, 4]] * 3 + [[0, 2, NO_FRAME]])
TEACHER = np.array([[0, 1, 2, 3, 4]] * 3 + [[0, 1, 2, NO_FRAME, NO_FRAME]])
LABELS = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0], [0, 0, 1]], dtype=float)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.real.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def each_video(scores: Array, frames: Array) -> list[tuple[int, Array, Array]]:
    """The scores of every video's candidates, and the teacher's logits of the same frames."""
    found = []
    for video in range(VIDEOS):
        times = [time for time in CANDIDATES[video] if time != NO_FRAME]
        found.append((video, scores[video, : len(times)], frames[video, times]))
    return found


def probability(logits: Array, labels: Array, form: str) -> Any:
    p = softmax(logits) if form == "softmax" else sigmoid(logits)
    return (p * labels).sum(-1) / max(1, labels.sum())


def rank_frames(form: str, margin: float) -> Callable[[Array, Array, Array], Any]:
    def formula(scores: Array, frames: Array, whole: Array) -> Any:
        total: Any = 0
        for video, s, logits in each_video(scores, frames):
            p = [probability(frame, LABELS[video], form) for frame in logits]
            terms = [
                margin - s[i] + s[j] if (margin - s[i] + s[j]).real > 0 else 0
                for i in range(len(s))
                for j in range(len(s))
                if p[i] > p[j]
            ]
            total = total + sum(terms) / max(1, len(terms))
        return total / VIDEOS

    return formula


def match_saliency(form: str, temperature: float) -> Callable[[Array, Array, Array], Any]:
    def formula(scores: Array, frames: Array, whole: Array) -> Any:
        total: Any = 0
        for video, s, logits in each_video(scores, frames):
            probabilities = softmax if form == "softmax" else sigmoid
            weights = probabilities(whole[video]) / probabilities(whole[video]).sum()
            says = (weights * probabilities(logits)).sum(1)
            target = softmax(says / temperature)
            total = total + (target * np.log(target / softmax(s))).sum()
        return total / VIDEOS

    return formula


def output(scores: Tensor) -> Output:
    times = torch.from_numpy(CANDIDATES)
    nothing = torch.zeros(VIDEOS, 2, dtype=torch.float64)
    return Output(
        Encoding(nothing), nothing, selection=Selection(times, scores=scores, times=times)
    )


def taught(frames: Array, whole: Array) -> Output:
    each = States(torch.from_numpy(frames), torch.from_numpy(TEACHER))
    logits = torch.from_numpy(whole)
    return Output(Encoding(torch.zeros(VIDEOS, 2)), logits, frame_logits=each)


BATCH = LossBatch(torch.from_numpy(LABELS), torch.arange(VIDEOS))
CASES = {
    "rank-frames": (RankFrames(CONTEXT), rank_frames("sigmoid", 1.0)),
    "rank-frames-softmax": (
        RankFrames(CONTEXT, form="softmax", margin=0.5),
        rank_frames("softmax", 0.5),
    ),
    "match-saliency": (MatchSaliency(CONTEXT), match_saliency("sigmoid", 0.1)),
    "match-saliency-softmax": (
        MatchSaliency(CONTEXT, form="softmax", temperature=2.0),
        match_saliency("softmax", 2.0),
    ),
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_the_formulas(name: str, seed: int) -> None:
    loss, formula = CASES[name]
    drawn = np.random.default_rng(seed)
    scores = drawn.standard_normal((VIDEOS, 3))
    frames = 2 * drawn.standard_normal((VIDEOS, FRAMES, CLASSES))
    whole = 2 * drawn.standard_normal((VIDEOS, CLASSES))
    values = torch.from_numpy(scores).requires_grad_()
    value = loss(output(values), taught(frames, whole), BATCH)
    value.backward()
    np.testing.assert_allclose(value.item(), formula(scores, frames, whole).real, rtol=1e-9)
    assert values.grad is not None
    for way in range(3):
        along = np.random.default_rng(100 + way).standard_normal(scores.shape)
        slope = formula(scores + 1j * STEP * along, frames, whole).imag / STEP
        along = along * (CANDIDATES != NO_FRAME)
        found = (values.grad.numpy() * along).sum()
        np.testing.assert_allclose(found, slope, rtol=1e-9, atol=1e-12)
    assert values.grad[3, 2] == 0


@pytest.mark.parametrize("form", ["sigmoid", "softmax"])
def test_reinforce_is_the_reward_beyond_the_baseline_times_the_log_probability(form: Any) -> None:
    drawn = np.random.default_rng(3)
    logits, others = drawn.standard_normal((2, VIDEOS, CLASSES))
    log_prob = torch.from_numpy(-drawn.random(VIDEOS)).requires_grad_()
    chosen = replace(
        output(torch.zeros(VIDEOS, 3)),
        logits=torch.from_numpy(logits).requires_grad_(),
        selection=Selection(torch.from_numpy(CANDIDATES), log_prob=log_prob),
    )
    rewards, baselines = (
        np.array([probability(row, labels, form) for row, labels in zip(rows, LABELS, strict=True)])
        for rows in (logits, others)
    )
    for baseline, advantage in ((None, rewards), (torch.from_numpy(others), rewards - baselines)):
        value = Reinforce(CONTEXT, form=form)(replace(chosen, baseline=baseline), BATCH)
        expected = -(advantage * log_prob.detach().numpy()).mean()
        np.testing.assert_allclose(value.item(), expected, rtol=1e-9)
        (slope,) = torch.autograd.grad(value, log_prob)
        np.testing.assert_allclose(slope.numpy(), -advantage / VIDEOS, rtol=1e-9)
    assert chosen.logits.grad is None


def test_a_video_of_whose_candidates_the_teacher_saw_none_counts_nothing() -> None:
    frames, whole = np.ones((VIDEOS, FRAMES, CLASSES)), np.ones((VIDEOS, CLASSES))
    scores = torch.arange(12.0, dtype=torch.float64).view(4, 3).requires_grad_()
    teacher = taught(frames, whole)
    assert teacher.frame_logits is not None
    unseen = States(teacher.frame_logits.values, torch.full((VIDEOS, FRAMES), NO_FRAME))
    for loss in (RankFrames(CONTEXT), MatchSaliency(CONTEXT)):
        value = loss(output(scores), replace(teacher, frame_logits=unseen), BATCH)
        value.backward()
        assert value.item() == 0
    assert scores.grad is not None
    assert bool((scores.grad == 0).all())


@pytest.mark.parametrize("loss", [RankFrames(CONTEXT), MatchSaliency(CONTEXT)])
def test_a_selector_without_scores_cannot_be_taught_by_them(loss: MatchingLoss) -> None:
    times = torch.from_numpy(CANDIDATES)
    without = replace(output(torch.zeros(VIDEOS, 3)), selection=Selection(times, times=times))
    with pytest.raises(NotApplicableError, match="needs a learned selector that has scores"):
        loss(without, taught(np.ones((VIDEOS, FRAMES, 3)), np.ones((VIDEOS, 3))), BATCH)


def test_a_selector_that_does_not_draw_cannot_be_reinforced() -> None:
    with pytest.raises(NotApplicableError, match="needs a selector with log_prob"):
        Reinforce(CONTEXT)(output(torch.zeros(VIDEOS, 3)), BATCH)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: RankFrames(CONTEXT, margin=0.0), "margin=0.0"),
        (lambda: MatchSaliency(CONTEXT, temperature=float("nan")), "temperature=nan"),
    ],
)
def test_knobs_out_of_range_are_refused(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        make()
