"""Who learns what, and when."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

Network = Literal["teacher", "student"]
HeadSharing = Literal["separate", "copy", "tied", "frozen"]
Targets = Literal["own", "shuffled", "same-frames"]


@dataclass(frozen=True)
class Phase:
    """One stretch of training, declared by a schedule and acted out by the training loop.

    epochs: how often the training split is walked; at least 0.
    objectives: who learns, and the weight of each loss each minimises. A network that is absent stands still: in
        evaluation mode, without gradient.
    guides: whose outcome a learner's matching losses compare it with; its gradient never reaches the guide.
    starts: networks whose weights are overwritten before the phase, and by which network's.
    head: where the student's head comes from when the phase begins: `separate` its own, left as it is; `copy` a copy of
        the teacher's; `tied` the teacher's itself, moved by both; `frozen` a copy of the teacher's that stands still.
    targets: `own` compares a learner with the guide's outcome for the same video, `shuffled` with another video's,
        `same-frames` with its outcome for the very frames that the learner sees, however few; the guide must then
        stand still.
    """

    name: str
    epochs: int
    objectives: Mapping[Network, Mapping[str, float]]
    guides: Mapping[Network, Network] = field(default_factory=lambda: {"student": "teacher"})
    starts: Mapping[Network, Network] = field(default_factory=dict)
    head: HeadSharing = "separate"
    targets: Targets = "own"


class TrainingSchedule(ABC):
    """Declares who learns what, and when; never sees a model. `__init__(self, objective, *, knobs)`.

    objective: the student's losses and their weights, as the user gave them.
    """

    trains_student: ClassVar[bool] = True
    """False for a schedule whose answer is the teacher: the row then reports the teacher's quality and cost."""

    @abstractmethod
    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns the phases, in order, for a budget of `epochs` a learner; the same for the same arguments."""
