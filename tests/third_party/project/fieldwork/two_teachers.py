"""A student of two teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench import hookimpl
from distillbench.interfaces import (
    Ensemble,
    Learner,
    NetworkSpec,
    Objective,
    Phase,
    TrainingSchedule,
)


class TwoTeachers(TrainingSchedule):
    """Two teachers, one after the other, each drawn by itself; then a student of their mean prediction."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns two teachers and a student."""
        teachers = {name: NetworkSpec("teacher") for name in ("first", "second")}
        return {**teachers, "student": NetworkSpec("student")}

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns a phase each."""
        learner = Learner(self.objective.supervised())
        student = Learner(self.objective.against("both"))
        both = {"both": Ensemble(("first", "second"))}
        return [
            Phase("first", epochs, {"first": learner}),
            Phase("second", epochs, {"second": learner}),
            Phase("student", epochs, {"student": student}, ensembles=both),
        ]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `two-teachers`."""
    return {"two-teachers": TwoTeachers}
