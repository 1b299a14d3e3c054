"""Born-again networks (arXiv 1805.04770)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench import hookimpl
from distillbench.interfaces import Init, Learner, NetworkSpec, Objective, Phase, TrainingSchedule


class BornAgain(TrainingSchedule):
    """A student, then a student drawn anew that it teaches, and so on.

    Knobs:
        generations: how many there are.
    """

    def __init__(self, objective: Objective, *, generations: int = 2) -> None:
        self.objective, self.generations = objective, generations

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns the last generation and the one before it."""
        return {"parent": NetworkSpec("student"), "student": NetworkSpec("student")}

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns a phase a generation."""
        born = [Phase("generation 1", epochs, {"student": Learner(self.objective.on_labels())})]
        anew = Learner(self.objective.against("parent"), Init(encoder="fresh", head="fresh"))
        for generation in range(2, self.generations + 1):
            name = f"generation {generation}"
            born.append(Phase(name, epochs, {"student": anew}, starts={"parent": "student"}))
        return born


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `reborn`."""
    return {"reborn": BornAgain}
