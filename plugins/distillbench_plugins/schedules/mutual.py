"""Deep mutual learning (arXiv 1706.00384)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench import hookimpl
from distillbench.interfaces import Learner, NetworkSpec, Objective, Phase, Term, TrainingSchedule
from distillbench_plugins.layers.knobs import refuse, wrong_counts


class Mutual(TrainingSchedule):
    """Several students that learn at once, from the labels and from each other (arXiv 1706.00384).

    Each matches every other one, with the weight of the objective divided by their number. All
    move in the same step, where the paper's algorithm moves one after the other. They differ in
    the weights that they begin with. There is no teacher: all of them see k frames. Labels and
    losses are those of the objective on multi-label and single-label data alike.

    Knobs:
        peers: how many students there are, at least 2; the first is reported.
    """

    def __init__(self, objective: Objective, *, peers: int = 2) -> None:
        refuse(wrong_counts("schedule mutual", peers=(peers, 2, 100)))
        self.objective = objective
        self.names = ["student", *(f"peer{number}" for number in range(2, peers + 1))]

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns the students, all built from the same settings."""
        return {name: NetworkSpec("student") for name in self.names}

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns one phase in which all learn."""
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
    """Offers `mutual`."""
    return {"mutual": Mutual}
