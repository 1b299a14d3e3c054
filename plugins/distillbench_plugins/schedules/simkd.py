"""Distillation with the teacher's classifier, SimKD (arXiv 2203.14001)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench import hookimpl
from distillbench.interfaces import (
    Freeze,
    Init,
    Learner,
    NetworkSpec,
    Objective,
    Phase,
    TrainingSchedule,
)


class ReusedClassifier(TrainingSchedule):
    """A teacher, then a student with its frozen head behind a projection (SimKD, 2203.14001).

    A linear layer maps the student's encoding to the width of the teacher's, so that the head fits;
    the paper's projector is convolutions on maps, of which an encoding has none. The layer is a
    part of the student and counts in its cost. The paper matches encodings alone (`--loss rep`),
    of k frames with those of all N; the head needs no training, so that the labels are
    not needed, multi-label or single-label.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns the teacher, and a student whose encodings are as wide as the teacher's."""
        student = NetworkSpec("student", width_of="teacher")
        return {"teacher": NetworkSpec("teacher"), "student": student}

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns the teacher's phase and the student's."""
        student = Learner(self.objective.against("teacher"), Init(head=Freeze("teacher")))
        return [
            Phase("teacher", epochs, {"teacher": Learner(self.objective.supervised())}),
            Phase("student", epochs, {"student": student}),
        ]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `simkd`."""
    return {"simkd": ReusedClassifier}
