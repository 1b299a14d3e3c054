"""Each matching loss agrees with its paper's formula, written in numpy, in value and in gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from plugins.loss_outputs import (
    BATCH,
    CLASSES,
    CONTEXT,
    LABELS,
    STEP,
    STUDENT_TIMES,
    TEACHER_TIMES,
    VIDEOS,
    WIDER,
    WIDTH,
    Array,
    aligned,
    divergence,
    drawn,
    huber,
    length,
    output,
    pearson,
    sigmoid,
    softmax,
)

from distillbench.interfaces import (
    NO_FRAME,
    LossBatch,
    MatchingLoss,
)
from distillbench_plugins.losses.ab import ActivationBoundary
from distillbench_plugins.losses.at import AttentionTransfer
from distillbench_plugins.losses.cc import CorrelationCongruence
from distillbench_plugins.losses.cosine import Cosine
from distillbench_plugins.losses.dist import RelationMatch
from distillbench_plugins.losses.dkd import DecoupledDistillation
from distillbench_plugins.losses.fsp import Flow
from distillbench_plugins.losses.hint import Hint
from distillbench_plugins.losses.jsd import JensenShannon
from distillbench_plugins.losses.kd import KnowledgeDistillation
from distillbench_plugins.losses.kd_standardized import StandardizedDistillation
from distillbench_plugins.losses.logit_mse import LogitMatch
from distillbench_plugins.losses.nkd import NormalizedDistillation
from distillbench_plugins.losses.nst import NeuronSelectivity
from distillbench_plugins.losses.pkt import ProbabilisticTransfer
from distillbench_plugins.losses.pred import Prediction
from distillbench_plugins.losses.psm import PartialSoftmax
from distillbench_plugins.losses.rep_intermediate import IntermediateRepresentation
from distillbench_plugins.losses.rkd import Relations
from distillbench_plugins.losses.soft_bce import SoftLabels
from distillbench_plugins.losses.sp import SimilarityPreserving

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


def psm(s: Array, t: Array, labels: Array) -> Any:
    total: Any = 0
    for ours, theirs, has in zip(s / 1.5, t / 1.5, labels > 0, strict=True):
        for label in has.nonzero()[0]:
            taking_part = ~has
            taking_part[label] = True
            p, q = (softmax(row[None, taking_part])[0] for row in (theirs, ours))
            total = total + 1.5**2 * (p * np.log(p / q)).sum()
    return total / len(s)


def jensen_shannon(p: Array, q: Array) -> Any:
    middle = (p + q) / 2
    return ((p * np.log(p / middle) + q * np.log(q / middle)) / 2).sum()


def jsd(s: Array, t: Array, labels: Array) -> Any:
    p, q = sigmoid(t), sigmoid(s)
    return (jensen_shannon(p, q) + jensen_shannon(1 - p, 1 - q)) / len(s)


def jsd_softmax(s: Array, t: Array, labels: Array) -> Any:
    return 4.0 * jensen_shannon(softmax(t / 2), softmax(s / 2)) / len(s)


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


def states_apart(s: Array, teachers: Callable[[int, int], Array]) -> Any:
    """Squared distances of states from position 1 on from what the teacher has for them."""
    total: Any = 0
    for video, place in zip(*(STUDENT_TIMES != NO_FRAME).nonzero(), strict=True):
        if place:
            total = total + ((s[video, place] - teachers(video, place)) ** 2).sum()
    return total / VIDEOS


def gathered(s: Array, t: Array, labels: Array) -> Any:
    return states_apart(s, lambda video, place: aligned(t)[0][video, place])


def pooled(s: Array, t: Array, labels: Array) -> Any:
    def since(video: int, place: int) -> Array:
        end, start = STUDENT_TIMES[video, place], STUDENT_TIMES[video, place - 1]
        seen = (TEACHER_TIMES[video] > start) & (TEACHER_TIMES[video] <= end)
        return t[video, seen].mean(0)

    return states_apart(s, since)


def interpolated(s: Array, t: Array, labels: Array) -> Any:
    def between(video: int, place: int) -> Array:
        ours, theirs = ((x[video] != NO_FRAME).sum() for x in (STUDENT_TIMES, TEACHER_TIMES))
        exact = place * (theirs - 1) / (ours - 1)
        low, share = int(exact), exact - int(exact)
        return (1 - share) * t[video, low] + share * t[video, min(low + 1, theirs - 1)]

    return states_apart(s, between)


def soft_dtw(first: Array, second: Array, gamma: float) -> Any:
    table = np.full((len(first) + 1, len(second) + 1), np.inf + 0j)
    table[0, 0] = 0
    for i, j in product(range(len(first)), range(len(second))):
        ways = np.array([table[i, j], table[i, j + 1], table[i + 1, j]])
        ways = ways[np.isfinite(ways.real)]
        least = ways.real.min()
        table[i + 1, j + 1] = ((first[i] - second[j]) ** 2).sum()
        table[i + 1, j + 1] += least - gamma * np.log(np.exp(-(ways - least) / gamma).sum())
    return table[-1, -1]


def warped(s: Array, t: Array, labels: Array) -> Any:
    total: Any = 0
    for video in range(VIDEOS):
        x, y = (
            s[video, STUDENT_TIMES[video] != NO_FRAME],
            t[video, TEACHER_TIMES[video] != NO_FRAME],
        )
        total = total + soft_dtw(x, y, 2.0) - soft_dtw(x, x, 2.0) / 2 - soft_dtw(y, y, 2.0) / 2
    return total / VIDEOS


Formula = Callable[[Array, Array, Array], Any]
CASES: dict[str, tuple[MatchingLoss, Formula, str]] = {
    "kd": (KnowledgeDistillation(CONTEXT), kd, "logits"),
    "kd-standardized": (StandardizedDistillation(CONTEXT), kd_standardized, "logits"),
    "logit-mse": (LogitMatch(CONTEXT), logit_mse, "logits"),
    "soft-bce": (SoftLabels(CONTEXT, teacher_share=0.3), soft_bce, "logits"),
    "pred": (Prediction(CONTEXT, temperature=3.0), multi_label_kd, "logits"),
    "psm": (PartialSoftmax(CONTEXT, temperature=1.5), psm, "logits"),
    "jsd": (JensenShannon(CONTEXT), jsd, "logits"),
    "jsd-softmax": (
        JensenShannon(CONTEXT, form="softmax", temperature=2.0),
        jsd_softmax,
        "logits",
    ),
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
    "rep-intermediate": (IntermediateRepresentation(CONTEXT, final=False), gathered, "states"),
    "rep-intermediate-pool": (
        IntermediateRepresentation(CONTEXT, final=False, alignment="pool"),
        pooled,
        "states",
    ),
    "rep-intermediate-interpolate": (
        IntermediateRepresentation(CONTEXT, final=False, alignment="interpolate"),
        interpolated,
        "states",
    ),
    "rep-intermediate-soft-dtw": (
        IntermediateRepresentation(CONTEXT, final=False, alignment="soft-dtw", gamma=2.0),
        warped,
        "states",
    ),
}


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


def test_labels_that_all_classes_share_leave_partial_softmax_nothing_to_teach() -> None:
    values = torch.from_numpy(drawn("logits", 1, False, WIDTH)).requires_grad_()
    teacher = output("logits", torch.from_numpy(drawn("logits", 2, True, WIDTH)), True)
    for labels in (torch.ones(VIDEOS, CLASSES), torch.zeros(VIDEOS, CLASSES)):
        batch = LossBatch(labels.double(), torch.arange(VIDEOS))
        value = PartialSoftmax(CONTEXT)(output("logits", values, False), teacher, batch)
        value.backward()
        assert value.abs() < 1e-12
        assert values.grad is not None
        assert values.grad.abs().max() < 1e-12
