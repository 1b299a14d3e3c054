"""A student that goes over from its teacher to the labels (arXiv 2104.07163)."""

from __future__ import annotations

from collections.abc import Sequence

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Learner, Objective, Phase, Ramp, Term, TrainingSchedule


class Annealed(TrainingSchedule):
    """A teacher, then a student whose weights move from its teacher to the labels (2104.07163).

    What is matched begins with the weight of the objective and ends with 0; losses on the labels
    begin with 0 and end with theirs. The paper anneals the temperature of the teacher's logits and
    then turns to the labels at once; here the weights do both evenly, so that any loss
    may match. The teacher sees all N frames, the student k. Labels and losses are those of the
    objective on multi-label and single-label data alike; without one that matches, the labels have
    their weight throughout.

    Knobs:
        over: the share of the student's epochs after which the labels alone are left, above 0 and
            at most 1.
    """

    def __init__(self, objective: Objective, *, over: float = 1.0) -> None:
        if not 0.0 < over <= 1.0:
            raise ConfigError([f"schedule annealed: over={over} is not in (0, 1]"])
        self.objective, self.over = objective, over

    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns the teacher's phase and the student's."""
        return [
            Phase("teacher", epochs, {"teacher": Learner(self.objective.supervised())}),
            Phase("student", epochs, {"student": Learner(self._terms())}),
        ]

    def _terms(self) -> tuple[Term, ...]:
        labels = self.objective.on_labels()
        if not self.objective.matching:
            return labels
        rising = [Term(one.loss, Ramp(0.0, self._weight(one), self.over)) for one in labels]
        falling = [
            Term(loss, Ramp(weight, 0.0, self.over), "teacher")
            for loss, weight in self.objective.matching.items()
        ]
        return (*rising, *falling)

    def _weight(self, term: Term) -> float:
        return self.objective.labels.get(term.loss, 1.0)


@hookimpl
def training_schedules() -> dict[str, type[TrainingSchedule]]:
    """Offers `annealed`."""
    return {"annealed": Annealed}
