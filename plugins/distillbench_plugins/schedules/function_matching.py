"""Distillation as function matching (arXiv 2106.05237)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from distillbench import hookimpl
from distillbench.interfaces import Learner, Objective, Phase, Teacher, TrainingSchedule
from distillbench_plugins.layers.knobs import refuse, wrong_counts


class FunctionMatching(TrainingSchedule):
    """A teacher, then for long a student that sees the same mixed views as it (arXiv 2106.05237).

    "Consistent and patient": the frozen teacher is asked about the very frames that the student
    sees, mixed with those of another video in the same way, so that the student learns a function
    and not answers. The paper matches predictions alone (`--loss pred`); losses on the labels are
    taken of mixed labels, multi-label as single-label. The teacher learns from all N frames, and is
    asked about k of them, unless `views` is own; a selector that draws gives other views at each
    step.

    Knobs:
        mixup: alpha of the shares, Beta(alpha, alpha), from 0.001 to 1000; 0 mixes nothing.
        views: consistent, the teacher sees the student's frames; own, all of them.
        epochs_factor: the student trains so many times as long as the teacher.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        mixup: float = 1.0,
        views: Literal["consistent", "own"] = "consistent",
        epochs_factor: int = 4,
    ) -> None:
        problems = []
        if not (mixup == 0 or 1e-3 <= mixup <= 1e3):
            problems.append(f"schedule function-matching: mixup={mixup} is not in [0.001, 1000]")
        counts = wrong_counts("schedule function-matching", epochs_factor=(epochs_factor, 1, 1000))
        refuse([*problems, *counts])
        self.objective, self.mixup, self.epochs_factor = objective, mixup, epochs_factor
        self.teacher = Teacher("teacher", view="learner" if views == "consistent" else "own")

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns the teacher's phase and the student's longer one."""
        student = Learner(self.objective.taught_by(self.teacher))
        long = epochs * self.epochs_factor
        return [
            Phase("teacher", epochs, {"teacher": Learner(self.objective.supervised())}),
            Phase("student", long, {"student": student}, mixup=self.mixup),
        ]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `function-matching`."""
    return {"function-matching": FunctionMatching}
