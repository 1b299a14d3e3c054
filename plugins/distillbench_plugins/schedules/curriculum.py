"""A curriculum of frames: all of them first, k in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from distillbench import hookimpl
from distillbench.interfaces import Learner, Objective, Phase, TrainingSchedule, ViewSpec
from distillbench_plugins.layers.knobs import falling
from distillbench_plugins.layers.views import ALL


class Curriculum(TrainingSchedule):
    """A teacher, then a student that sees all frames first and fewer in every stage, at last k.

    Ours, after curricula that begin with what is easy (Bengio et al., ICML 2009): a video is
    easier to tell from more frames. The student's epochs are divided among the stages; where there
    are fewer epochs than stages the first ones are left out. Each stage begins with the best epoch
    of the last one and with the first learning rate. Labels and losses are those of the objective
    on multi-label and single-label data alike.

    Knobs:
        frames: of the stages between all frames and k, falling and separated by commas; those that
            are not above k are left out.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"frames": "4"}

    def __init__(self, objective: Objective, *, frames: str = "30,15") -> None:
        self.objective = objective
        counts = [count for count in falling(frames, "curriculum") if count > objective.k]
        self.views = {
            "all frames": ALL,
            **{f"{count} frames": ViewSpec(k=count) for count in counts},
            "own frames": None,
        }

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns the teacher's phase and a phase for each of the student's stages."""
        terms = self.objective.taught_by("teacher")
        stages = list(self.views.items())[-max(1, min(epochs, len(self.views))) :]
        ends = [epochs * number // len(stages) for number in range(len(stages) + 1)]
        teacher = Phase("teacher", epochs, {"teacher": Learner(self.objective.supervised())})
        student = [
            Phase(name, end - start, {"student": Learner(terms, view=view)})
            for (name, view), start, end in zip(stages, ends[:-1], ends[1:], strict=True)
        ]
        return [teacher, *student]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `curriculum`."""
    return {"curriculum": Curriculum}
