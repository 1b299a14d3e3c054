"""What a matching loss promises; its passport says which promises it makes beyond those of every loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from distillbench.checks import modules, toys
from distillbench.checks.promises import Broken, Subject, Unclaimed, expect, seeded
from distillbench.interfaces import Encoding, MatchingLoss, Outcome, Passport, Shapes

VIDEOS = 6
PARTS = ("logits", "summary", "states")


def _loss(subject: Subject, teacher: Shapes = toys.STUDENT, seed: int = 0) -> MatchingLoss:
    loss: MatchingLoss = subject.build(toys.STUDENT, teacher, seed=seed)
    return loss


def _passport(subject: Subject) -> Passport:
    passport = getattr(subject.cls, "passport", None)
    if not isinstance(passport, Passport):
        raise Broken(f"its passport is {passport!r}")
    return passport


def _claims(subject: Subject, claim: str) -> None:
    if claim not in _passport(subject).claims:
        raise Unclaimed(f"its passport does not claim '{claim}'")


def _student(seed: int = 0, scale: float = 1.0) -> Outcome:
    return toys.outcomes(VIDEOS, seed=seed, scale=scale)


def _value(loss: MatchingLoss, student: Outcome, teacher: Outcome | None, labels: Tensor) -> Tensor:
    with seeded(1):
        value: Tensor = loss(student, teacher, labels)
    return value


def _measured(loss: MatchingLoss, student: Outcome, teacher: Outcome, labels: Tensor) -> float:
    with torch.no_grad():
        return float(_value(loss, student, teacher, labels).reshape(-1)[0])


def _leaves(outcome: Outcome) -> tuple[Outcome, dict[str, Tensor]]:
    """Copies an outcome so that gradients arrive at its parts."""
    e = outcome.encoding
    assert e.states is not None
    leaves = {
        name: part.detach().clone().requires_grad_()
        for name, part in zip(PARTS, (outcome.logits, e.summary, e.states), strict=True)
    }
    return Outcome(Encoding(leaves["summary"], leaves["states"], e.times), leaves["logits"]), leaves


def one_finite_scalar(subject: Subject) -> None:
    """It returns one finite number, without dimensions."""
    value = _value(_loss(subject), _student(), _student(1), toys.labels(VIDEOS))
    expect(value.shape == () and value.is_floating_point(), f"{value.dtype} of shape {tuple(value.shape)}")
    expect(value.isfinite(), f"{float(value)}")


def pulls_the_student_alone(subject: Subject) -> None:
    """The student gets a gradient; the teacher never does, even where it asks for one."""
    student, pulled = _leaves(_student())
    teacher, spared = _leaves(_student(1))
    _value(_loss(subject), student, teacher, toys.labels(VIDEOS)).sum().backward()  # type: ignore[no-untyped-call]
    expect(any(_is_pulled(part) for part in pulled.values()), "no gradient for the student")
    for name, part in spared.items():
        expect(not _is_pulled(part), f"a gradient for the teacher's {name}")


def _is_pulled(part: Tensor) -> bool:
    return part.grad is not None and bool(part.grad.abs().sum() != 0)


def every_weight_of_its_own_gets_a_gradient(subject: Subject) -> None:
    """Every weight of its own gets a gradient that is finite and not zero."""
    loss = _loss(subject).train()
    if any(True for _ in loss.parameters()):
        modules.all_weights_learn(loss, _value(loss, _student(), _student(1), toys.labels(VIDEOS)).sum())


def declares_what_it_needs(subject: Subject) -> None:
    """Its passport names everything that it reads: without the rest, its value is the same."""
    passport, labels = _passport(subject), toys.labels(VIDEOS)
    full = _measured(_loss(subject), _student(), _student(1), labels)
    shown = labels if "labels" in passport.needs else torch.full_like(labels, float("nan"))
    student, teacher = (_only(passport, outcome) for outcome in (_student(), _student(1)))
    try:
        value = _value(_loss(subject), student, teacher if "teacher" in passport.needs else None, shown)
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error} without what its passport does not name") from error
    same = abs(float(value.detach().reshape(-1)[0]) - full) <= 1e-5 * max(1.0, abs(full))
    expect(same, f"{full:.6g} with everything, {float(value):.6g} without what its passport does not name")


def _only(passport: Passport, outcome: Outcome) -> Outcome:
    """Blots out the parts of an outcome that a passport does not name."""
    e = outcome.encoding
    states, times = (e.states, e.times) if "states" in passport.needs else (None, None)
    summary = e.summary if "summary" in passport.needs else torch.full_like(e.summary, float("nan"))
    logits = outcome.logits if "logits" in passport.needs else torch.full_like(outcome.logits, float("nan"))
    return Outcome(Encoding(summary, states, times), logits)


def compares_videos_only_where_it_says(subject: Subject) -> None:
    """A video pulls on itself alone, unless the passport says that the videos of a batch are compared (`batch`)."""
    if "batch" in _passport(subject).needs:
        raise Unclaimed("its passport says that it compares the videos of a batch")
    pulls = []
    for seed in (0, 5):  # the other videos differ; the first is the same
        student, leaves = _leaves(_joined(toys.picked(_student(), [0]), toys.picked(_student(seed), [1, 2, 3, 4, 5])))
        teacher = _joined(toys.picked(_student(1), [0]), toys.picked(_student(seed + 1), [1, 2, 3, 4, 5]))
        labels = torch.cat([toys.labels(1), toys.labels(VIDEOS, seed)[1:]])
        _value(_loss(subject), student, teacher, labels).sum().backward()  # type: ignore[no-untyped-call]
        pulls.append([part.grad[0] for part in leaves.values() if part.grad is not None])
    for ours, theirs in zip(*pulls, strict=True):
        modules.same(ours, theirs, "what pulls on a video, in two batches", 1e-5)


def _joined(first: Outcome, second: Outcome) -> Outcome:
    a, b = first.encoding, second.encoding
    assert a.states is not None
    assert b.states is not None
    assert a.times is not None
    assert b.times is not None
    encoding = Encoding(
        torch.cat([a.summary, b.summary]), torch.cat([a.states, b.states]), torch.cat([a.times, b.times])
    )
    return Outcome(encoding, torch.cat([first.logits, second.logits]))


def is_a_mean_over_the_batch(subject: Subject) -> None:
    """A batch joined with itself gives the same value, where the passport claims `batch-mean`."""
    _claims(subject, "batch-mean")
    loss, student, teacher, labels = _loss(subject), _student(), _student(1), toys.labels(VIDEOS)
    once = _measured(loss, student, teacher, labels)
    twice = _measured(loss, _joined(student, student), _joined(teacher, teacher), torch.cat([labels, labels]))
    expect(abs(once - twice) <= 1e-4 * max(1.0, abs(once)), f"{once:.6g}, and {twice:.6g} for twice the batch")


def order_of_the_batch_does_not_matter(subject: Subject) -> None:
    """The same videos in another order give the same value."""
    order = [4, 2, 0, 5, 1, 3]
    loss, labels = _loss(subject), toys.labels(VIDEOS)
    straight = _measured(loss, _student(), _student(1), labels)
    mixed = _measured(loss, toys.picked(_student(), order), toys.picked(_student(1), order), labels[order])
    expect(abs(straight - mixed) <= 1e-4 * max(1.0, abs(straight)), f"{straight:.6g} and {mixed:.6g}")


def is_least_at_a_match(subject: Subject) -> None:
    """No student does better than one equal to its teacher, where the passport claims `least-at-match`."""
    _claims(subject, "least-at-match")
    loss, teacher, labels = _loss(subject), _student(1), toys.labels(VIDEOS)
    match = _measured(loss, teacher, teacher, labels)
    for scale in (0.01, 0.1, 1.0):
        for seed in range(2, 10):
            other = _measured(loss, _moved(teacher, _student(seed), scale), teacher, labels)
            expect(other >= match - 1e-5 * max(1.0, abs(match)), f"{match:.6g} at the match and {other:.6g} beside it")


def _moved(outcome: Outcome, by: Outcome, scale: float) -> Outcome:
    e, d = outcome.encoding, by.encoding
    assert e.states is not None
    assert d.states is not None
    encoding = Encoding(e.summary + scale * d.summary, e.states + scale * d.states, e.times)
    return Outcome(encoding, outcome.logits + scale * by.logits)


def widths_may_differ(subject: Subject) -> None:
    """Teacher and student may differ in width, unless the passport needs `equal-widths`."""
    passport = _passport(subject)
    if "equal-widths" in passport.needs:
        expect("any-width" not in passport.claims, "needs 'equal-widths' and claims 'any-width'")
        raise Unclaimed("its passport needs 'equal-widths'")
    teacher = toys.outcomes(VIDEOS, toys.OTHER, seed=1)
    try:
        value = _value(_loss(subject, toys.OTHER), _student(), teacher, toys.labels(VIDEOS))
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    expect(value.isfinite().all(), f"{value.tolist()}")


def descending_brings_the_student_nearer(subject: Subject) -> None:
    """Descending it lowers it, and brings the student nearer to its teacher where the two can be laid side by side.

    They can where the passport names the teacher and neither `batch` nor `labels`, and the loss has no weights.
    """
    loss, labels = _loss(subject), toys.labels(VIDEOS)
    passport, teacher = _passport(subject), _student(1)
    start = _student()
    student, leaves = _leaves(start)
    adam = torch.optim.Adam([*leaves.values(), *loss.parameters()], 0.03)
    before = _measured(loss, start, teacher, labels)
    for _ in range(40):
        adam.zero_grad()
        _value(loss, student, teacher, labels).sum().backward()  # type: ignore[no-untyped-call]
        adam.step()
    after = _measured(loss, student, teacher, labels)
    expect(after < before, f"a value of {before:.4g} at first and {after:.4g} after 40 steps")
    if "teacher" in passport.needs and not passport.needs & {"batch", "labels"} and not list(loss.parameters()):
        near = _nearness(passport, teacher)
        expect(
            near(student) < near(start), f"a distance of {near(start):.4g} at first and {near(student):.4g} in the end"
        )


def _nearness(passport: Passport, teacher: Outcome) -> Callable[[Outcome], float]:
    """Returns 1 - the correlation with the teacher, over the parts a loss reads: blind to scale and to shift."""

    def distance(student: Outcome) -> float:
        found = []
        for name in set(PARTS) & passport.needs:
            ours, theirs = (_part(outcome, name).detach().flatten() for outcome in (student, teacher))
            found.append(1.0 - float(torch.corrcoef(torch.stack([ours, theirs]))[0, 1]))
        return sum(found)

    return distance


def _part(outcome: Outcome, name: str) -> Tensor:
    part = outcome.logits if name == "logits" else getattr(outcome.encoding, name)
    assert isinstance(part, Tensor)
    return part


def survives_large_logits(subject: Subject) -> None:
    """Value and gradient are finite for logits of 50 and -50, teacher and student agreeing or not."""
    signs = torch.where(_student().logits > 0, 50.0, -50.0)
    for sign in (1.0, -1.0):
        student, leaves = _leaves(replace(_student(), logits=signs))
        teacher = replace(_student(1), logits=sign * signs)
        value = _value(_loss(subject), student, teacher, toys.labels(VIDEOS))
        expect(value.isfinite().all(), f"{value.tolist()}")
        value.sum().backward()  # type: ignore[no-untyped-call]
        for name, part in leaves.items():
            expect(part.grad is None or part.grad.isfinite().all(), f"a gradient of the {name} that is not finite")


def survives_bf16(subject: Subject) -> None:
    """Under bf16 autocast, and given bf16, its value is finite and within a tenth of that in float32."""
    loss, labels = _loss(subject), toys.labels(VIDEOS)
    low = [_cast(_student(seed, scale=3.0), torch.bfloat16) for seed in (0, 1)]
    exact = _measured(loss, _cast(low[0], torch.float32), _cast(low[1], torch.float32), labels)
    with torch.autocast("cpu", torch.bfloat16):
        value = _measured(loss, low[0], low[1], labels)
    expect(abs(value - exact) <= 0.1 * max(1e-3, abs(exact)), f"{value:.6g}, and {exact:.6g} in float32")


def _cast(outcome: Outcome, dtype: torch.dtype) -> Outcome:
    e = outcome.encoding
    assert e.states is not None
    return Outcome(Encoding(e.summary.to(dtype), e.states.to(dtype), e.times), outcome.logits.to(dtype))


def leaves_its_input_as_it_was(subject: Subject) -> None:
    """It changes nothing of the outcomes and labels that it is given."""
    student, teacher, labels = _student(), _student(1), toys.labels(VIDEOS)
    _measured(_loss(subject), student, teacher, labels)
    for ours, untouched, whose in ((student, _student(), "student"), (teacher, _student(1), "teacher")):
        for name in PARTS:
            expect(torch.equal(_part(ours, name), _part(untouched, name)), f"other {name} of the {whose} than before")
    expect(torch.equal(labels, toys.labels(VIDEOS)), "other labels than before")


GIVEN: tuple[object, ...] = (toys.STUDENT, toys.STUDENT)
"""The positional constructor arguments of a component."""

CHECKS = (
    one_finite_scalar,
    pulls_the_student_alone,
    every_weight_of_its_own_gets_a_gradient,
    declares_what_it_needs,
    compares_videos_only_where_it_says,
    is_a_mean_over_the_batch,
    order_of_the_batch_does_not_matter,
    is_least_at_a_match,
    widths_may_differ,
    descending_brings_the_student_nearer,
    survives_large_logits,
    survives_bf16,
    leaves_its_input_as_it_was,
)
