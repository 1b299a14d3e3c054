"""A chain of teacher assistants (arXiv 1902.03393)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from distillbench import hookimpl
from distillbench.interfaces import (
    Learner,
    NetworkSpec,
    Objective,
    Phase,
    TrainingSchedule,
    ViewSpec,
)


class Assistants(TrainingSchedule):
    """The teacher first; then assistants that see fewer and fewer frames, each taught by the one before; then the student.

    Knobs:
        frames: how many each assistant sees, separated by commas.
    """

    def __init__(self, objective: Objective, *, frames: str = "8,6") -> None:
        self.objective = objective
        self.frames = [int(k) for k in frames.split(",")]

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns the chain, first to last."""
        assistants = {f"assistant{k}": NetworkSpec("student", ViewSpec(k=k)) for k in self.frames}
        return {"teacher": NetworkSpec("teacher"), **assistants, "student": NetworkSpec("student")}

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns a phase for each of the chain."""
        chain = list(self.networks())
        first = Phase(chain[0], epochs, {chain[0]: Learner(self.objective.supervised())})
        taught = [
            Phase(name, epochs, {name: Learner(self.objective.against(before))})
            for before, name in pairwise(chain)
        ]
        return [first, *taught]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `chain`."""
    return {"chain": Assistants}
