"""Born-again networks (arXiv 1805.04770)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench import hookimpl
from distillbench.interfaces import Init, Learner, NetworkSpec, Objective, Phase, TrainingSchedule
from distillbench_plugins.layers.knobs import refuse, wrong_counts


class BornAgain(TrainingSchedule):
    """A student on the labels; then students drawn anew, each taught by the last (1805.04770).

    All generations are built alike and see the same k frames: what is found is what a teacher adds
    that knows no more than its student (arXiv 1805.04770, section 3). The last generation is
    reported. Labels and losses are those of the objective on multi-label and single-label data
    alike.

    Knobs:
        generations: how many there are with the first, which has no teacher; at least 2.
    """

    def __init__(self, objective: Objective, *, generations: int = 3) -> None:
        refuse(wrong_counts("schedule born-again", generations=(generations, 2, 100)))
        self.objective, self.generations = objective, generations

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns the generation that learns and the one before it."""
        return {"parent": NetworkSpec("student"), "student": NetworkSpec("student")}

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns a phase for each generation."""
        first = Phase("generation 1", epochs, {"student": Learner(self.objective.on_labels())})
        anew = Learner(self.objective.taught_by("parent"), Init("fresh", "fresh"))
        later = [
            Phase(f"generation {number}", epochs, {"student": anew}, starts={"parent": "student"})
            for number in range(2, self.generations + 1)
        ]
        return [first, *later]


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `born-again`."""
    return {"born-again": BornAgain}
