"""A chain of teacher assistants (arXiv 1902.03393)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

from distillbench import hookimpl
from distillbench.interfaces import (
    Learner,
    NetworkSpec,
    Objective,
    Phase,
    TrainingSchedule,
    ViewSpec,
)
from distillbench_plugins.layers.knobs import falling


class Assistants(TrainingSchedule):
    """A teacher, then students of fewer and fewer frames, each taught by the last (1902.03393).

    The paper bridges a gap in size, here the gap is in frames: from all of them over those of the
    assistants to k. An assistant is built like the student; one that would not see more than k
    frames is left out. Labels and losses are those of the objective on multi-label and single-label
    data alike.

    Knobs:
        frames: of each assistant, falling and separated by commas.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"frames": "4"}

    def __init__(self, objective: Objective, *, frames: str = "30,15") -> None:
        self.objective = objective
        self.frames = [count for count in falling(frames, "assistants") if count > objective.k]

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns the chain, from the teacher to the student."""
        assistants = {f"assistant{k}": NetworkSpec("student", ViewSpec(k=k)) for k in self.frames}
        return {"teacher": NetworkSpec("teacher"), **assistants, "student": NetworkSpec("student")}

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns a phase for each network of the chain."""
        first = Phase("teacher", epochs, {"teacher": Learner(self.objective.supervised())})
        taught = [
            Phase(name, epochs, {name: Learner(self.objective.taught_by(before))})
            for before, name in pairwise(self.networks())
        ]
        return [first, *taught]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `assistants`."""
    return {"assistants": Assistants}
