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
    LabelLoss,
    LossBatch,
    LossContext,
    MatchingLoss,
    Output,
    Shapes,
    States,
)
from distillbench_plugins.losses.ab import ActivationBoundary
from distillbench_plugins.losses.asymmetric import Asymmetric
from distillbench_plugins.losses.at import AttentionTransfer
from distillbench_plugins.losses.balanced_ce import BalancedCrossEntropy
from distillbench_plugins.losses.cc import CorrelationCongruence
from distillbench_plugins.losses.cosine import Cosine
from distillbench_plugins.losses.crd import ContrastiveRepresentation, _products
from distillbench_plugins.losses.dist import RelationMatch
from distillbench_plugins.losses.dkd import DecoupledDistillation
from distillbench_plugins.losses.focal import Focal
from distillbench_plugins.losses.fsp import Flow
from distillbench_plugins.losses.hint import Hint
from distillbench_plugins.losses.jsd import JensenShannon
from distillbench_plugins.losses.kd import KnowledgeDistillation
from distillbench_plugins.losses.kd_standardized import StandardizedDistillation
from distillbench_plugins.losses.logit_mse import LogitMatch
from distillbench_plugins.losses.mgd import MaskedGeneration
from distillbench_plugins.losses.nkd import NormalizedDistillation
from distillbench_plugins.losses.nst import NeuronSelectivity
from distillbench_plugins.losses.pkt import ProbabilisticTransfer
from distillbench_plugins.losses.pred import Prediction
from distillbench_plugins.losses.psm import PartialSoftmax
from distillbench_plugins.losses.rep_intermediate import IntermediateRepresentation
from distillbench_plugins.losses.review import Review, hierarchical_context
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


def focal(s: Array, labels: Array) -> Any:
    p = sigmoid(s)
    has = -0.3 * (1 - p) ** 1.5 * np.log(p)
    lacks = -0.7 * p**1.5 * np.log(1 - p)
    return (labels * has + (1 - labels) * lacks).sum() / len(s)


def asymmetric(s: Array, labels: Array) -> Any:
    p = sigmoid(s)
    shifted = np.where(p.real > 0.2, p - 0.2, 0)
    has = -((1 - p) ** 1.0) * np.log(p)
    return (labels * has - (1 - labels) * shifted**3.0 * np.log(1 - shifted)).sum() / len(s)


def balanced(s: Array, labels: Array) -> Any:
    raw = np.array([(1 - 0.9) / (1 - 0.9**n) for n in (7, 3, 1, 1)])
    p = sigmoid(s)
    each = -labels * np.log(p) - (1 - labels) * np.log(1 - p)
    return (each * raw * 4 / raw.sum()).sum() / len(s)


COUNTED = LossContext(SHAPES, None, 40, (7, 3, 1, 0))
ON_LABELS: dict[str, tuple[LabelLoss, Callable[[Array, Array], Any]]] = {
    "focal": (Focal(COUNTED, gamma=1.5, alpha=0.3), focal),
    "asymmetric": (
        Asymmetric(COUNTED, gamma_has=1.0, gamma_lacks=3.0, margin=0.2),
        asymmetric,
    ),
    "balanced-ce": (BalancedCrossEntropy(COUNTED, beta=0.9), balanced),
}


@pytest.mark.parametrize("name", ON_LABELS)
def test_losses_on_labels_are_the_papers(name: str) -> None:
    loss, formula = ON_LABELS[name]
    ours = drawn("logits", 3, False, WIDTH)
    values = torch.from_numpy(ours).requires_grad_()
    value = loss(output("logits", values, False), BATCH)
    value.backward()
    assert values.grad is not None
    np.testing.assert_allclose(value.item(), formula(ours, LABELS).real, rtol=1e-9)
    for way in range(3):
        along = np.random.default_rng(100 + way).standard_normal(ours.shape)
        slope = formula(ours + 1j * STEP * along, LABELS).imag / STEP
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
        (lambda: PartialSoftmax(CONTEXT, temperature=0.0), "temperature=0.0"),
        (lambda: JensenShannon(CONTEXT, temperature=0.0), "temperature=0.0"),
        (lambda: Review(CONTEXT, width=0), "width=0"),
        (lambda: IntermediateRepresentation(CONTEXT, gamma=0.0), "gamma=0.0"),
        (lambda: Focal(COUNTED, gamma=-1.0), "gamma=-1.0"),
        (lambda: Focal(COUNTED, alpha=1.5), "alpha=1.5"),
        (lambda: Asymmetric(COUNTED, gamma_lacks=-1.0), "gamma_lacks=-1.0"),
        (lambda: Asymmetric(COUNTED, margin=1.0), "margin=1.0"),
        (lambda: BalancedCrossEntropy(COUNTED, beta=1.0), "beta=1.0"),
    ],
)
def test_knobs_out_of_range_are_refused(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        make()
