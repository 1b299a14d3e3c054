"""Many frames first, few in the end."""

from __future__ import annotations

from collections.abc import Sequence

from distillbench import hookimpl
from distillbench.interfaces import Learner, Objective, Phase, TrainingSchedule, ViewSpec


class Curriculum(TrainingSchedule):
    """The teacher first; then the student, which sees fewer frames from phase to phase.

    Knobs:
        frames: how many the student sees, separated by commas; its own k comes last.
    """

    def __init__(self, objective: Objective, *, frames: str = "8,6") -> None:
        self.objective = objective
        self.frames = [int(k) for k in frames.split(",")]

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns the teacher's phase and the student's, which share the epochs."""
        views = [*(ViewSpec(k=k) for k in self.frames), None]
        ends = [epochs * (number + 1) // len(views) for number in range(len(views))]
        starts = [0, *ends[:-1]]
        teacher = Phase("teacher", epochs, {"teacher": Learner(self.objective.supervised())})
        return [
            teacher,
            *(
                Phase(
                    f"{view.k} frames" if view else "its own frames",
                    end - start,
                    {"student": Learner(self.objective.against("teacher"), view=view)},
                )
                for view, start, end in zip(views, starts, ends, strict=True)
            ),
        ]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `fewer-frames`."""
    return {"fewer-frames": Curriculum}
