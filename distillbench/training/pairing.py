"""Whether the networks and losses of a run fit together; asked before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

from distillbench.errors import NotApplicableError
from distillbench.interfaces import Network, Phase, Shapes
from distillbench.networks import Model
from distillbench.setup import Setup


def refuse_misfits(setup: Setup, models: Mapping[Network, Model], shapes: Mapping[Network, Shapes]) -> None:
    """Raises `NotApplicableError` with every reason for which a setup's phases cannot be acted out."""
    problems = [*setup.misfits]
    for phase in setup.phases:
        problems += _weights_that_do_not_fit(phase, models, shapes)
        for learner, objective in phase.objectives.items():
            student, teacher = shapes[learner], shapes.get(phase.guides.get(learner, learner), shapes[learner])
            for name in objective:
                problems += _widths_that_do_not_fit(setup, name, student, teacher)
    if problems:
        raise NotApplicableError(dict.fromkeys(problems))


def _weights_that_do_not_fit(
    phase: Phase, models: Mapping[Network, Model], shapes: Mapping[Network, Shapes]
) -> Iterator[str]:
    if phase.head != "separate" and not _alike(models["teacher"].head, models["student"].head):
        yield (
            f"phase '{phase.name}' gives the student the teacher's head ({phase.head}), which reads encodings of "
            f"{shapes['teacher'].summary} numbers; the student's have {shapes['student'].summary}"
        )
    for network, source in phase.starts.items():
        if not _alike(models[source], models[network]):
            yield f"phase '{phase.name}' starts the {network} from the {source}'s weights, and they are not built alike"


def _alike(ours: nn.Module, theirs: nn.Module) -> bool:
    shapes = [{name: value.shape for name, value in module.state_dict().items()} for module in (ours, theirs)]
    return shapes[0] == shapes[1]


def _widths_that_do_not_fit(setup: Setup, name: str, student: Shapes, teacher: Shapes) -> Iterator[str]:
    needs = setup.passport(name).needs
    if "states" in needs and (student.states is None or teacher.states is None):
        who = "student" if student.states is None else "teacher"
        yield f"the loss '{name}' compares states, and the {who}'s encoder has none"
    if "equal-widths" in needs and "summary" in needs and student.summary != teacher.summary:
        yield (
            f"the loss '{name}' needs encodings of equal width; the student's has {student.summary} numbers, the "
            f"teacher's {teacher.summary}"
        )
    if "equal-widths" in needs and "states" in needs and student.states != teacher.states:
        yield (
            f"the loss '{name}' needs states of equal width; the student's have {student.states}, the teacher's "
            f"{teacher.states}"
        )
