"""Checks, before any training, whether the networks and losses of a run fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

from distillbench.config.run_spec import RunSpec
from distillbench.config.schedule_rules import members_of, networks_of, teacher_of
from distillbench.errors import NotApplicableError
from distillbench.interfaces import EarlyExit, Learner, Phase, Shapes, Term, ViewSpec
from distillbench.networks import Model, learns_from_frames

Models = Mapping[str, Model]

_HEAD_INITS = {"Copy": "copied", "Tie": "tied", "Freeze": "frozen", "Follow": "followed"}


def refuse_conflicts(spec: RunSpec, models: Models, shapes: Mapping[str, Shapes]) -> None:
    """Raises `NotApplicableError` with every reason why a run's phases cannot be trained."""
    problems = [*spec.conflicts]
    encoder = models[spec.reports].encoder
    may_stop = isinstance(encoder, EarlyExit) and len(encoder.exits) > 0
    if spec.exit_policy is not None and not may_stop:
        problems.append(
            f"the exit policy '{spec.exit_policy.name}' needs an encoder that may stop early; "
            f"'{spec.encoder(spec.reports).name}' may not"
        )
    problems += _untaught_selectors(spec, models)
    for phase in spec.phases:
        problems += _weight_conflicts(phase, models, shapes)
        problems += _view_conflicts(spec, phase, models)
        problems += _mixup_conflicts(spec, phase, models)
        for name, learner in phase.learners.items():
            problems += _loss_conflicts(spec, phase, name, learner, shapes)
            problems += _selection_conflicts(spec, name, learner, models[name])
    if problems:
        # Phases often share a problem: each is named once, in order.
        raise NotApplicableError(dict.fromkeys(problems))


def _weight_conflicts(phase: Phase, models: Models, shapes: Mapping[str, Shapes]) -> Iterator[str]:
    """Finds weights that a phase copies or shares between networks that are built differently."""
    where = f"phase '{phase.name}'"
    for name, learner in phase.learners.items():
        head = learner.init.head
        if not isinstance(head, str):
            source = head.network
            if not _have_same_shapes(models[source].head, models[name].head):
                yield (
                    f"{where} gives the {name} the {source}'s head "
                    f"({_HEAD_INITS[type(head).__name__]}), which reads encodings of "
                    f"{shapes[source].summary} numbers; the {name}'s have {shapes[name].summary}"
                )
        encoder = learner.init.encoder
        if not isinstance(encoder, str):
            source = encoder.network
            if not _have_same_shapes(models[source].encoder, models[name].encoder):
                yield (
                    f"{where} gives the {name} the {source}'s encoder, and they are not built alike"
                )
    whole_networks = list(phase.starts.items())
    for name, average in phase.averages.items():
        whole_networks.append((name, average.source))
    for name, source in whole_networks:
        if not _have_same_shapes(models[source], models[name]):
            yield (
                f"{where} starts the {name} from the {source}'s weights, "
                "and they are not built alike"
            )


def _have_same_shapes(first: nn.Module, second: nn.Module) -> bool:
    return _shapes_by_name(first) == _shapes_by_name(second)


def _shapes_by_name(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _view_conflicts(spec: RunSpec, phase: Phase, models: Models) -> Iterator[str]:
    """Finds views that replace a learned selector, which is a part of its network."""
    for name, learner in phase.learners.items():
        for term in learner.terms:
            for network, view in _views_of(phase, name, learner, term):
                if view is None or spec.view(network, view) == spec.view(network):
                    continue
                if models[network].selector is not None:
                    yield (
                        f"phase '{phase.name}' shows the {network} another view than its own, and "
                        f"its selector '{spec.selector.name}' is learned as a part of it"
                    )


def _mixup_conflicts(spec: RunSpec, phase: Phase, models: Models) -> Iterator[str]:
    """Finds learned selectors where videos are mixed: what they choose is of one video."""
    if not phase.mixup:
        return
    for name in sorted(networks_of(phase)):
        if models[name].selector is not None:
            yield (
                f"phase '{phase.name}' mixes videos, and the {name}'s selector "
                f"'{spec.selector.name}' is learned as a part of it"
            )


def _views_of(
    phase: Phase, name: str, learner: Learner, term: Term
) -> Iterator[tuple[str, ViewSpec | None]]:
    """Yields the networks of a term and the views that the schedule gives them."""
    yield name, learner.view
    yield name, term.view
    teacher = teacher_of(term)
    if teacher is not None and isinstance(teacher.view, ViewSpec):
        for member in members_of(phase, teacher.network):
            yield member, teacher.view


def _loss_conflicts(
    spec: RunSpec, phase: Phase, name: str, learner: Learner, shapes: Mapping[str, Shapes]
) -> Iterator[str]:
    """Finds losses that cannot compare a learner with its teachers."""
    for term in learner.terms:
        teacher = teacher_of(term)
        if teacher is None:
            # A label loss needs of the learner alone what it would need of both.
            yield from _pair_conflicts(
                spec, term.loss, (name, shapes[name]), ("teacher", shapes[name])
            )
            continue
        members = members_of(phase, teacher.network)
        for member in members:
            title = "teacher" if len(members) == 1 else f"teacher {member}"
            yield from _pair_conflicts(
                spec, term.loss, (name, shapes[name]), (title, shapes[member])
            )
        if len(members) > 1:
            summary_widths = {shapes[member].summary for member in members}
            yield from _ensemble_conflicts(spec, term.loss, teacher.network, summary_widths)


def _selection_conflicts(spec: RunSpec, name: str, learner: Learner, model: Model) -> Iterator[str]:
    """Finds losses that read what a learned selector chose, where there is none."""
    for term in learner.terms:
        if "selection" in spec.requirements(term.loss).needs and model.selector is None:
            yield (
                f"the loss '{term.loss}' reads what a learned selector chose, "
                f"and the {name} has none"
            )


def _untaught_selectors(spec: RunSpec, models: Models) -> Iterator[str]:
    """Finds learned selectors that would stay as they begin."""
    learners = [pair for phase in spec.phases for pair in phase.learners.items()]
    taught = {
        name
        for name, learner in learners
        for term in learner.terms
        if "selection" in spec.requirements(term.loss).needs
    }
    for name in dict(learners):
        if name not in taught and not learns_from_frames(models[name]):
            yield (
                f"no loss of the {name} reads what its selector '{spec.selector.name}' chose, "
                "and the selector learns from nothing else"
            )


def _ensemble_conflicts(
    spec: RunSpec, loss: str, ensemble: str, summary_widths: set[int]
) -> Iterator[str]:
    needs = spec.requirements(loss).needs
    if "states" in needs:
        yield f"the loss '{loss}' compares states, and an ensemble has none"
    if "frame-logits" in needs:
        yield f"the loss '{loss}' needs logits of single frames, and an ensemble has none"
    if "summary" in needs and len(summary_widths) > 1:
        yield (
            f"the loss '{loss}' compares encodings, and those of the ensemble "
            f"'{ensemble}' differ in width"
        )


def _pair_conflicts(
    spec: RunSpec, loss: str, student: tuple[str, Shapes], teacher: tuple[str, Shapes]
) -> Iterator[str]:
    """Finds what a loss needs and a pair of networks, each with its title, does not have."""
    needs = spec.requirements(loss).needs
    student_title, student_shapes = student
    teacher_title, teacher_shapes = teacher
    common_layers = student_shapes.states.keys() & teacher_shapes.states.keys()
    if "states" in needs and not common_layers:
        yield _missing_states(loss, student, teacher)
    if "equal-widths" not in needs:
        return
    if "summary" in needs and student_shapes.summary != teacher_shapes.summary:
        yield (
            f"the loss '{loss}' needs encodings of equal width; "
            f"the {student_title}'s has {student_shapes.summary} numbers, "
            f"the {teacher_title}'s {teacher_shapes.summary}"
        )
    if "states" not in needs:
        return
    for layer in common_layers:
        student_width = student_shapes.states[layer]
        teacher_width = teacher_shapes.states[layer]
        if student_width != teacher_width:
            yield (
                f"the loss '{loss}' needs states of equal width; "
                f"the {student_title}'s have {student_width}, the {teacher_title}'s {teacher_width}"
            )


def _missing_states(loss: str, student: tuple[str, Shapes], teacher: tuple[str, Shapes]) -> str:
    """Says why a loss finds no layer whose states it could compare."""
    for title, shapes in (student, teacher):
        if not shapes.states:
            return f"the loss '{loss}' compares states, and the {title}'s encoder has none"
    layers = f"{', '.join(student[1].states)} and {', '.join(teacher[1].states)}"
    return f"the loss '{loss}' compares states, and no layer of both has the same name: {layers}"
