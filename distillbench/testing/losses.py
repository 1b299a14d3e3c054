"""What every loss promises, and what it promises by its requirements."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from distillbench.interfaces import (
    LabelLoss,
    LossBatch,
    MatchingLoss,
    Output,
    Requirements,
    Shapes,
)
from distillbench.testing import modules, toys
from distillbench.testing.promises import Broken, Subject, Unclaimed, expect, seeded

VIDEOS = 6
PARTS = ("logits", "summary", "states", "exits", "selection", "frame-logits")
Loss = LabelLoss | MatchingLoss


def _loss(subject: Subject, teacher: Shapes = toys.STUDENT, seed: int = 0) -> Loss:
    context = toys.ON_LABELS if _on_labels(subject) else replace(toys.MATCHING, teacher=teacher)
    loss: Loss = subject.build(context, seed=seed)
    return loss


def _on_labels(subject: Subject) -> bool:
    return subject.component.kind == "label-loss"


def _requirements(subject: Subject) -> Requirements:
    found = getattr(subject.cls, "requirements", None)
    if not isinstance(found, Requirements):
        raise Broken(f"its requirements are {found!r}")
    return found


def _claims(subject: Subject, claim: str) -> None:
    if claim not in _requirements(subject).claims:
        raise Unclaimed(f"its requirements do not claim '{claim}'")


def _student(seed: int = 0, scale: float = 1.0) -> Output:
    return toys.outputs(VIDEOS, seed=seed, scale=scale)


def _called(loss: Loss, student: Output, teacher: Output, batch: LossBatch) -> Tensor:
    """Calls a loss of either kind.

    `isinstance` would run code of every other plugin's classes.
    """
    on_labels = any(parent is LabelLoss for parent in type(loss).__mro__)
    value: Tensor = loss(student, batch) if on_labels else loss(student, teacher, batch)
    return value


def _value(loss: Loss, student: Output, teacher: Output, batch: LossBatch) -> Tensor:
    with seeded(1):
        value: Tensor = _called(loss, student, teacher, batch)
    return value


def _measured(loss: Loss, student: Output, teacher: Output, batch: LossBatch) -> float:
    with torch.no_grad():
        return float(_value(copy.deepcopy(loss), student, teacher, batch).reshape(-1)[0])


def _leaves(output: Output) -> tuple[Output, dict[str, list[Tensor]]]:
    """Copies an output so that gradients arrive at its parts."""
    copied = toys.mapped(output, lambda part: part.detach().clone().requires_grad_(), only=PARTS)
    return copied, toys.parts(copied)


def one_finite_scalar(subject: Subject) -> None:
    """It returns one finite number, without dimensions."""
    value = _value(_loss(subject), _student(), _student(1), toys.batch(VIDEOS))
    expect(
        value.shape == () and value.is_floating_point(),
        f"{value.dtype} of shape {tuple(value.shape)}",
    )
    expect(value.isfinite(), f"{float(value)}")


def pulls_the_student_alone(subject: Subject) -> None:
    """The student gets a gradient; the teacher never does, even where it requires one."""
    student, pulled = _leaves(_student())
    teacher, spared = _leaves(_student(1))
    _value(_loss(subject), student, teacher, toys.batch(VIDEOS)).sum().backward()  # type: ignore[no-untyped-call]
    expect(any(map(_is_pulled, _all(pulled))), "no gradient for the student")
    for name, parts in spared.items():
        expect(not any(map(_is_pulled, parts)), f"a gradient for the teacher's {name}")


def _all(leaves: dict[str, list[Tensor]]) -> list[Tensor]:
    return [part for parts in leaves.values() for part in parts]


def _is_pulled(part: Tensor) -> bool:
    return part.grad is not None and bool(part.grad.abs().sum() != 0)


def every_weight_of_its_own_gets_a_gradient(subject: Subject) -> None:
    """Every weight of its own gets a gradient that is finite and not zero."""
    loss = _loss(subject).train()
    if any(True for _ in loss.parameters()):
        modules.all_weights_learn(
            loss, _value(loss, _student(), _student(1), toys.batch(VIDEOS)).sum()
        )


def groups_its_weights(subject: Subject) -> None:
    """Its parameter groups hold each of its weights once, and set only `lr` and `weight_decay`."""
    loss = _loss(subject)
    groups = [dict(group) for group in loss.optimizer_groups()]
    known = {"params", "lr", "weight_decay"}
    for group in groups:
        expect(
            group.keys() <= known and "params" in group, f"a group of {', '.join(sorted(group))}"
        )
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    own = [id(parameter) for parameter in loss.parameters() if parameter.requires_grad]
    expect(
        sorted(grouped) == sorted(own),
        f"{len(grouped)} weights in groups, and {len(set(own))} of its own",
    )


def keeps_its_state_in_buffers(subject: Subject) -> None:
    """What it remembers from step to step is in its buffers.

    A copy from its state goes on as it does.
    """
    first = _loss(subject).train()
    for seed in range(2):
        _value(first, _student(seed), _student(seed + 1), toys.batch(VIDEOS, seed))
        first.after_step()
    second = _loss(subject, seed=3).train()
    second.load_state_dict(first.state_dict())
    values = []
    for loss in (first, second):
        _value(loss, _student(4), _student(5), toys.batch(VIDEOS, 4))
        loss.after_step()
        values.append(_measured(loss, _student(6), _student(7), toys.batch(VIDEOS, 6)))
    expect(
        values[0] == values[1],
        f"{values[0]:.6g} going on, and {values[1]:.6g} from its stored state",
    )


def declares_what_it_needs(subject: Subject) -> None:
    """Its requirements name everything that it reads: without the rest, its value is the same."""
    found, batch = _requirements(subject), toys.batch(VIDEOS)
    full = _measured(_loss(subject), _student(), _student(1), batch)
    if "labels" not in found.needs:
        batch = replace(batch, labels=torch.full_like(batch.labels, float("nan")))
    student, teacher = (_only(found, output) for output in (_student(), _student(1)))
    try:
        value = _measured(_loss(subject), student, teacher, batch)
    except Exception as error:
        raise Broken(
            f"{type(error).__name__}: {error} without what its requirements do not name"
        ) from error
    same = abs(value - full) <= 1e-5 * max(1.0, abs(full))
    expect(
        same, f"{full:.6g} with everything, {value:.6g} without what its requirements do not name"
    )


def _only(requirements: Requirements, output: Output) -> Output:
    """Blots out the parts of an output that requirements do not name."""
    others = [name for name in PARTS if name not in requirements.needs]
    blotted = toys.mapped(output, lambda part: torch.full_like(part, float("nan")), only=others)
    e = blotted.encoding
    states = e.states if "states" in requirements.needs else {}
    exits = blotted.exits if "exits" in requirements.needs else ()
    selection = blotted.selection if "selection" in requirements.needs else None
    each = blotted.frame_logits if "frame-logits" in requirements.needs else None
    return replace(
        blotted,
        encoding=replace(e, states=states),
        exits=exits,
        selection=selection,
        frame_logits=each,
    )


def compares_videos_only_where_it_says(subject: Subject) -> None:
    """A video's gradient depends on that video alone, unless it needs `batch`."""
    if "batch" in _requirements(subject).needs:
        raise Unclaimed("its requirements name `batch`")
    pulls = []
    for seed in (0, 5):  # the other videos differ; the first is the same
        first, others = [0], [1, 2, 3, 4, 5]
        whole = _joined(toys.picked(_student(), first), toys.picked(_student(seed), others))
        student, leaves = _leaves(whole)
        teacher = _joined(toys.picked(_student(1), first), toys.picked(_student(seed + 1), others))
        labels = torch.cat([toys.labels(1), toys.labels(VIDEOS, seed)[1:]])
        batch = replace(toys.batch(VIDEOS), labels=labels)
        _value(_loss(subject), student, teacher, batch).sum().backward()  # type: ignore[no-untyped-call]
        pulls.append([part.grad[0] for part in _all(leaves) if part.grad is not None])
    for ours, theirs in zip(*pulls, strict=True):
        modules.same(ours, theirs, "what pulls on a video, in two batches", 1e-5)


def _joined(first: Output, second: Output) -> Output:
    return toys.combined(first, second, lambda one, other: torch.cat([one, other]))


def is_a_mean_over_the_batch(subject: Subject) -> None:
    """A batch joined with itself gives the same value, if it claims `batch-mean`."""
    _claims(subject, "batch-mean")
    loss, student, teacher, batch = _loss(subject), _student(), _student(1), toys.batch(VIDEOS)
    once = _measured(loss, student, teacher, batch)
    double = replace(batch, labels=batch.labels.repeat(2, 1), videos=batch.videos.repeat(2))
    twice = _measured(loss, _joined(student, student), _joined(teacher, teacher), double)
    expect(
        abs(once - twice) <= 1e-4 * max(1.0, abs(once)),
        f"{once:.6g}, and {twice:.6g} for twice the batch",
    )


def order_of_the_batch_does_not_matter(subject: Subject) -> None:
    """The same videos in another order give the same value, unless it draws at random."""
    order = [4, 2, 0, 5, 1, 3]
    loss, batch = _loss(subject), toys.batch(VIDEOS)
    straight = _measured(loss, _student(), _student(1), batch)
    if _draws(loss, batch):
        raise Unclaimed("it draws at random")
    mixed_batch = replace(batch, labels=batch.labels[order], videos=batch.videos[order])
    mixed = _measured(
        loss, toys.picked(_student(), order), toys.picked(_student(1), order), mixed_batch
    )
    expect(
        abs(straight - mixed) <= 1e-4 * max(1.0, abs(straight)), f"{straight:.6g} and {mixed:.6g}"
    )


def _draws(loss: Loss, batch: LossBatch) -> bool:
    """Tells whether a loss changes torch's random state."""
    with seeded(1), torch.no_grad():
        state = torch.get_rng_state()
        copied = copy.deepcopy(loss)
        _called(copied, _student(), _student(1), batch)
        return not torch.equal(state, torch.get_rng_state())


def counts_labels_in_part(subject: Subject) -> None:
    """A label that is there in part counts in part, unless its requirements name `hard-labels`.

    The labels of mixed videos are so.
    """
    if "hard-labels" in _requirements(subject).needs:
        raise Unclaimed("its requirements name `hard-labels`")

    def mixed(share: float) -> float:
        own = torch.eye(toys.CLASSES)[torch.arange(VIDEOS) % toys.CLASSES]
        labels = share * own + (1 - share) * own.roll(1, 1)
        batch = replace(toys.batch(VIDEOS), labels=labels)
        return _measured(_loss(subject), _student(), _student(1), batch)

    if mixed(1.0) != mixed(0.0):
        most, more = mixed(0.9), mixed(0.6)
        expect(most != more, f"{most:.6g} whether 0.9 or 0.6 of a label is there")


def leaves_its_input_as_it_was(subject: Subject) -> None:
    """It changes nothing of the outputs and labels that it is given."""
    student, teacher, batch = _student(), _student(1), toys.batch(VIDEOS)
    _measured(_loss(subject), student, teacher, batch)
    for ours, untouched, whose in (
        (student, _student(), "student"),
        (teacher, _student(1), "teacher"),
    ):
        for name, parts in toys.parts(ours).items():
            for part, before in zip(parts, toys.parts(untouched)[name], strict=True):
                expect(torch.equal(part, before), f"other {name} of the {whose} than before")
    expect(torch.equal(batch.labels, toys.labels(VIDEOS)), "other labels than before")


def survives_large_logits(subject: Subject) -> None:
    """Value and gradient are finite for logits of 50 and -50.

    Whether teacher and student agree or not.
    """
    signs = torch.where(_student().logits > 0, 50.0, -50.0)
    for sign in (1.0, -1.0):
        student, leaves = _leaves(replace(_student(), logits=signs))
        teacher = replace(_student(1), logits=sign * signs)
        value = _value(_loss(subject), student, teacher, toys.batch(VIDEOS))
        expect(value.isfinite().all(), f"{value.tolist()}")
        value.sum().backward()  # type: ignore[no-untyped-call]
        for name, parts in leaves.items():
            for part in parts:
                expect(
                    part.grad is None or part.grad.isfinite().all(),
                    f"a gradient of the {name} that is not finite",
                )


def survives_bf16(subject: Subject) -> None:
    """Under bf16 autocast, and given bf16, its value is within a tenth of float32's."""
    loss, batch = _loss(subject), toys.batch(VIDEOS)
    low = [_cast(_student(seed, scale=3.0), torch.bfloat16) for seed in (0, 1)]
    exact = _measured(loss, _cast(low[0], torch.float32), _cast(low[1], torch.float32), batch)
    with torch.autocast("cpu", torch.bfloat16):
        value = _measured(loss, low[0], low[1], batch)
    expect(
        abs(value - exact) <= 0.1 * max(1e-3, abs(exact)),
        f"{value:.6g}, and {exact:.6g} in float32",
    )


def _cast(output: Output, dtype: torch.dtype) -> Output:
    return toys.mapped(output, lambda part: part.to(dtype), only=PARTS)


def descending_brings_the_student_nearer(subject: Subject) -> None:
    """Gradient descent lowers it, and brings the student nearer to its teacher.

    They can where its requirements name none of `batch`, `labels`, `products` and `selection`,
    which a teacher of all frames has none of, and the loss has no weights.
    """
    loss, batch, teacher, start = _loss(subject), toys.batch(VIDEOS), _student(1), _student()
    student, leaves = _leaves(start)
    adam = torch.optim.Adam([*_all(leaves), *loss.parameters()], 0.03)
    before = _measured(loss, start, teacher, batch)
    for _ in range(40):
        adam.zero_grad()
        _value(loss, student, teacher, batch).sum().backward()  # type: ignore[no-untyped-call]
        adam.step()
    after = _measured(loss, student, teacher, batch)
    expect(after < before, f"a value of {before:.4g} at first and {after:.4g} after 40 steps")
    found = _requirements(subject)
    if (
        not _on_labels(subject)
        and not found.needs & {"batch", "labels", "products", "selection"}
        and not list(loss.parameters())
    ):
        near = _nearness(found, teacher)
        text = f"a distance of {near(start):.4g} at first and {near(student):.4g} in the end"
        expect(near(student) < near(start), text)


def _nearness(requirements: Requirements, teacher: Output) -> Callable[[Output], float]:
    """Returns 1 - the correlation with the teacher, over the parts a loss reads.

    Blind to scale and to shift.
    """

    def distance(student: Output) -> float:
        found = []
        for name in set(PARTS) & requirements.needs:
            for ours, theirs in zip(
                toys.parts(student)[name], toys.parts(teacher)[name], strict=True
            ):
                pair = torch.stack([ours.detach().flatten(), theirs.flatten()])
                found.append(1.0 - float(torch.corrcoef(pair)[0, 1]))
        return sum(found)

    return distance


def is_least_at_a_match(subject: Subject) -> None:
    """No student does better than one equal to its teacher, if it claims `least-at-match`."""
    _claims(subject, "least-at-match")
    loss, teacher, batch = _loss(subject), _student(1), toys.batch(VIDEOS)
    match = _measured(loss, teacher, teacher, batch)
    for scale in (0.01, 0.1, 1.0):
        for seed in range(2, 10):
            other = _measured(loss, _moved(teacher, _student(seed), scale), teacher, batch)
            expect(
                other >= match - 1e-5 * max(1.0, abs(match)),
                f"{match:.6g} at the match and {other:.6g} beside it",
            )


def _moved(output: Output, by: Output, scale: float) -> Output:
    def move(one: Tensor, other: Tensor) -> Tensor:
        return one + scale * other if one.is_floating_point() else one

    return toys.combined(output, by, move)


def widths_may_differ(subject: Subject) -> None:
    """Teacher and student may differ in width, unless its requirements name `equal-widths`."""
    found = _requirements(subject)
    if "equal-widths" in found.needs:
        expect("any-width" not in found.claims, "needs 'equal-widths' and claims 'any-width'")
        raise Unclaimed("its requirements name 'equal-widths'")
    teacher = toys.outputs(VIDEOS, toys.OTHER, seed=1)
    try:
        value = _value(_loss(subject, toys.OTHER), _student(), teacher, toys.batch(VIDEOS))
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    expect(value.isfinite().all(), f"{value.tolist()}")


CHECKS = (
    one_finite_scalar,
    pulls_the_student_alone,
    every_weight_of_its_own_gets_a_gradient,
    groups_its_weights,
    keeps_its_state_in_buffers,
    declares_what_it_needs,
    compares_videos_only_where_it_says,
    is_a_mean_over_the_batch,
    order_of_the_batch_does_not_matter,
    descending_brings_the_student_nearer,
    survives_large_logits,
    survives_bf16,
    counts_labels_in_part,
    leaves_its_input_as_it_was,
)
MATCHING = (is_least_at_a_match, widths_may_differ)
"""What a loss that compares two networks promises beside these."""
