"""Deep mutual learning (arXiv 1706.00384) of several peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench import hookimpl
from distillbench.interfaces import Learner, NetworkSpec, Objective, Phase, Term, TrainingSchedule


class Peers(TrainingSchedule):
    """Several students learn at once, each on the labels and from every other.

    Knobs:
        count: how many peers there are, the reported one among them.
    """

    def __init__(self, objective: Objective, *, count: int = 3) -> None:
        self.objective = objective
        self.names = ["student", *(f"peer{number}" for number in range(1, count))]

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns the peers, all built from the student's settings."""
        return {name: NetworkSpec("student") for name in self.names}

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns one phase."""
        return [Phase("mutual", epochs, {name: Learner(self._terms(name)) for name in self.names})]

    def _terms(self, name: str) -> tuple[Term, ...]:
        others = [other for other in self.names if other != name]
        matching = tuple(
            Term(loss, weight / len(others), other)
            for other in others
            for loss, weight in self.objective.matching.items()
        )
        return (*self.objective.on_labels(), *matching)


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `peers`."""
    return {"peers": Peers}
