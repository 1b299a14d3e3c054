"""One student for many numbers of frames (frame flexible network, arXiv 2303.14817)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from distillbench import hookimpl
from distillbench.interfaces import (
    Learner,
    NetworkSpec,
    Objective,
    Phase,
    Teacher,
    Term,
    TrainingSchedule,
    ViewSpec,
)
from distillbench_plugins.layers.knobs import falling
from distillbench_plugins.layers.views import ALL


class AnyK(TrainingSchedule):
    """One student for many k: its pass over all frames teaches those over fewer (2303.14817).

    In every step it sees each video with all frames, where the labels teach it, and with each
    smaller number, where it matches its own output for all frames. The paper's adapters for each
    number are left out, so that one set of weights serves every k.
    The row is for k frames. An objective without a teacher teaches every pass by the labels, each
    with the same share of their weight. Labels and losses are those of the objective on multi-label
    and single-label data alike.

    Knobs:
        frames: the smaller numbers, falling and separated by commas; k is always one of them.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"frames": "4"}

    def __init__(self, objective: Objective, *, frames: str = "30,15") -> None:
        self.objective = objective
        counts = [count for count in falling(frames, "any-k") if count != objective.k]
        self.fewer = (*(ViewSpec(k=count) for count in counts), ViewSpec(k=objective.k))

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns the student alone, which is its own teacher."""
        return {"student": NetworkSpec("student")}

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns one phase."""
        terms = self._matching() if self.objective.matching else self._labels()
        return [Phase("student", epochs, {"student": Learner(terms, view=ALL)})]

    def _matching(self) -> tuple[Term, ...]:
        most = Teacher("student", view=ALL)
        return self.objective.on_labels() + tuple(
            Term(loss, weight / len(self.fewer), most, view)
            for loss, weight in self.objective.matching.items()
            for view in self.fewer
        )

    def _labels(self) -> tuple[Term, ...]:
        views = (ALL, *self.fewer)
        return tuple(
            Term(loss, weight / len(views), view=view)
            for loss, weight in self.objective.labels.items()
            for view in views
        )


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `any-k`."""
    return {"any-k": AnyK}
