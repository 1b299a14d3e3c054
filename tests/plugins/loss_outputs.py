"""What losses are tested with: outputs of which one part is drawn, and functions of complex numbers in numpy.

A gradient is taken by a complex step, which is exact to the last digits: the imaginary part of
f(x + i h v) / h is the derivative along v.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from distillbench.interfaces import (
    NO_FRAME,
    Encoding,
    LossBatch,
    LossContext,
    Output,
    Shapes,
    States,
)

Array = NDArray[Any]
VIDEOS, CLASSES, WIDTH, FRAMES = 5, 4, 6, 3
SHAPES = Shapes(summary=WIDTH, states={"layer": WIDTH}, classes=CLASSES)
OTHER = Shapes(summary=WIDTH + 3, states={"layer": WIDTH + 3}, classes=CLASSES)
STEP = 1e-30
STUDENT_TIMES = np.array([[0, 2, 4]] * (VIDEOS - 1) + [[1, 3, NO_FRAME]])
TEACHER_TIMES = np.array([[0, 1, 2, 3, 4]] * (VIDEOS - 1) + [[0, 1, 2, 3, NO_FRAME]])


CONTEXT = LossContext(SHAPES, SHAPES, 40)
WIDER = LossContext(SHAPES, OTHER, 40)
COUNTED = LossContext(SHAPES, None, 40, (7, 3, 1, 0))


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


def aligned(t: Array) -> tuple[Array, Array]:
    """The teacher's states after the student's frames, and where both are."""
    found, both = np.zeros((VIDEOS, FRAMES, t.shape[2]), t.dtype), STUDENT_TIMES != NO_FRAME
    for video, place in zip(*both.nonzero(), strict=True):
        found[video, place] = t[
            video, list(TEACHER_TIMES[video]).index(STUDENT_TIMES[video, place])
        ]
    return found, both
