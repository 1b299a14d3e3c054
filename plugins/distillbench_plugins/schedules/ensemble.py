"""A student of several teachers."""

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
from distillbench_plugins.layers.knobs import refuse, wrong_counts


class TeacherEnsemble(TrainingSchedule):
    """Several teachers of other seeds, one after the other; then a student of their mean.

    Distillation from an ensemble (arXiv 1503.02531): the teachers' probabilities are averaged, each
    class by itself on multi-label data and over a softmax on single-label data, and so are their
    encodings. The teachers are built alike, begin with other weights, walk the videos in another
    order, and see all N frames. States have no mean: losses that read them are refused.

    Knobs:
        teachers: how many there are, at least 2.
    """

    def __init__(self, objective: Objective, *, teachers: int = 3) -> None:
        refuse(wrong_counts("schedule ensemble", teachers=(teachers, 2, 100)))
        self.objective = objective
        # The first is the teacher of other schedules, so that it is trained once for all of them.
        self.teachers = ("teacher", *(f"teacher{number}" for number in range(2, teachers + 1)))

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns the teachers and the student."""
        teachers = {name: NetworkSpec("teacher") for name in self.teachers}
        return {**teachers, "student": NetworkSpec("student")}

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns a phase for each teacher, and the student's."""
        alone = Learner(self.objective.supervised())
        student = Learner(self.objective.taught_by("mean"))
        mean = {"mean": Ensemble(self.teachers)}
        return [
            *(Phase(name, epochs, {name: alone}) for name in self.teachers),
            Phase("student", epochs, {"student": student}, ensembles=mean),
        ]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `ensemble`."""
    return {"ensemble": TeacherEnsemble}
