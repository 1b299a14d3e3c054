"""Who learns what from whom, and when: a schedule declares it, and never sees a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

# ------------------------------------------------------------------ networks and what they see


@dataclass(frozen=True)
class ViewSpec:
    """Which frames a network sees.

    selector: the setting that names the selector: `selector`, `train_selector`, `teacher_selector`.
        None inherits the network's own.
    k: how many frames are requested; a range (least, most) from which one number is drawn at each
        step of training. None inherits: all frames with `teacher_selector`, else the run's k.
    """

    selector: str | None = None
    k: int | tuple[int, int] | None = None


@dataclass(frozen=True)
class NetworkSpec:
    """A network of the run.

    section: the settings it is built from, `teacher` or `student`; several may share one.
    view: what it sees unless a term or phase has another view. Inherited from the section: a
        teacher sees what `teacher_selector` chooses of all frames, a student what `train_selector`
        in training and `selector` in evaluation choose, k frames.
    width_of: another network, to the width of whose encoding a linear layer maps this one's, so
        that the other's head fits. The layer is a part of the encoder: it is trained, stored,
        counted, quantized and exported with it. None for no such layer.
    """

    section: str
    view: ViewSpec = ViewSpec()
    width_of: str | None = None


# ------------------------------------------------------------------------ what a learner learns


@dataclass(frozen=True)
class Ramp:
    """A weight that moves evenly from start to end over a share of the phase, and then stays."""

    start: float
    end: float
    over: float = 1.0

    def at(self, progress: float) -> float:
        """Returns the weight at a progress of the phase between 0 and 1."""
        share = 1.0 if self.over <= 0 else min(1.0, progress / self.over)
        return self.start + (self.end - self.start) * share


@dataclass(frozen=True)
class Teacher:
    """What a learner is compared with.

    The output of a network, an average or an ensemble, without gradient.

    view: `own`: what it sees in evaluation (a network that learns in the same phase: what it sees
        as a learner); `learner`: the very frames that the learner sees; or another view.
    videos: `matched` for the same video; `shuffled` for another video of the batch, a control.
    untrained: whether a teacher without any training is meant, as a control.
    dropout: whether a teacher that learns in the same phase is asked with its dropout on, by the
        forward pass that its own losses use; without, it takes one more forward pass.
    """

    network: str
    view: Literal["own", "learner"] | ViewSpec = "own"
    videos: Literal["matched", "shuffled"] = "matched"
    untrained: bool = False
    dropout: bool = True


@dataclass(frozen=True)
class Term:
    """One loss of a learner.

    teacher: whom a matching loss compares the learner with; a plain name is `Teacher(name)`.
    view: what the learner sees for this term; None for its view in the phase.
    """

    loss: str
    weight: float | Ramp = 1.0
    teacher: Teacher | str | None = None
    view: ViewSpec | None = None


@dataclass(frozen=True)
class Copy:
    """Weights copied from another network when the phase begins."""

    network: str


@dataclass(frozen=True)
class Tie:
    """The other network's own head, moved by both for as long as the phase lasts.

    Then a copy of it.
    """

    network: str


@dataclass(frozen=True)
class Freeze:
    """A copy of the other network's head that does not learn."""

    network: str


@dataclass(frozen=True)
class Follow:
    """A copy of the other network's head, made again after every step.

    The learner's gradient passes through it to its encoder and moves no head.
    """

    network: str


@dataclass(frozen=True)
class Init:
    """Where a learner's weights come from when a phase begins.

    `keep`: as they are; `fresh`: new random weights, others in each phase; or from another network.
    """

    encoder: Literal["keep", "fresh"] | Copy = "keep"
    head: Literal["keep", "fresh"] | Copy | Tie | Freeze | Follow = "keep"


@dataclass(frozen=True)
class Learner:
    """A network that is trained in a phase.

    view: what it sees in training; None for the network's own.
    optimizer: settings of `training.*` that it has for itself: `learning_rate`, `clip`, `l2`.
    """

    terms: tuple[Term, ...]
    init: Init = Init()
    view: ViewSpec | None = None
    optimizer: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Average:
    """A network that follows another: w becomes decay * w + (1 - decay) * source after every step.

    It begins as a copy of its source.
    """

    source: str
    decay: float


@dataclass(frozen=True)
class Ensemble:
    """Several networks as one teacher.

    The mean of their probabilities, and of encodings of equal width.
    """

    members: tuple[str, ...]


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    epochs: how often the training split is walked; at least 0.
    learners: who learns. A network that is absent is frozen: in evaluation mode, without gradient.
    averages: networks that follow others, by name.
    ensembles: teachers made of several, by a name of their own.
    starts: whole networks that are overwritten by others' weights before anything is initialized
        again.
    mixup: alpha, above 0, mixes every video with another of its batch (arXiv 1710.09412): frames
        and labels become share * own + (1 - share) * partner's, with one share a step, drawn from
        Beta(alpha, alpha). All learners and teachers of the phase see the same mixtures, each of
        its own frames. 0 mixes nothing.
    """

    name: str
    epochs: int
    learners: Mapping[str, Learner]
    averages: Mapping[str, Average] = field(default_factory=dict)
    ensembles: Mapping[str, Ensemble] = field(default_factory=dict)
    starts: Mapping[str, str] = field(default_factory=dict)
    mixup: float = 0.0


# ----------------------------------------------------------------------------- the declaration


@dataclass(frozen=True)
class Objective:
    """The student's losses as the user gave them, split by what they need.

    No schedule then has to know a loss by its name.

    weights: of every loss, in the user's order.
    compares: those that compare the student with a teacher.
    label_loss: the loss on the labels that teachers and baselines minimize on this data.
    trains_head: whether some loss reads what the head makes, so that the head is trained as well.
    k: of the run: how many frames the student is to see in the end.
    """

    weights: Mapping[str, float]
    compares: frozenset[str]
    label_loss: str
    trains_head: bool = True
    k: int = 1

    @property
    def labels(self) -> dict[str, float]:
        """The losses on the labels, and their weights."""
        return {name: w for name, w in self.weights.items() if name not in self.compares}

    @property
    def matching(self) -> dict[str, float]:
        """The losses that compare the student with a teacher, and their weights."""
        return {name: w for name, w in self.weights.items() if name in self.compares}

    def supervised(self) -> tuple[Term, ...]:
        """Returns what a network without a teacher minimizes.

        The data's loss on the labels, with weight 1.
        """
        return (Term(self.label_loss),)

    def on_labels(self) -> tuple[Term, ...]:
        """Returns the user's losses on the labels, or `supervised` where there is none."""
        return tuple(Term(name, w) for name, w in self.labels.items()) or self.supervised()

    def against(self, teacher: Teacher | str) -> tuple[Term, ...]:
        """Returns all of the user's losses, the matching ones against a teacher."""
        return tuple(
            Term(name, w, teacher if name in self.compares else None)
            for name, w in self.weights.items()
        )

    def taught_by(self, teacher: Teacher | str) -> tuple[Term, ...]:
        """Returns `against`, and `supervised` as well where no loss would train the head."""
        return self.against(teacher) + (() if self.trains_head else self.supervised())


class TrainingSchedule(ABC):
    """Declares networks and phases. `__init__(self, objective, *, knobs)`: an `Objective`.

    reports: the network whose quality and cost the row has.
    """

    reports: ClassVar[str] = "student"

    def networks(self) -> Mapping[str, NetworkSpec]:
        """Returns the networks of the run by name; by default one teacher and one student."""
        return {"teacher": NetworkSpec("teacher"), "student": NetworkSpec("student")}

    @abstractmethod
    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns the phases, in order, for a budget of `epochs` a learner.

        The same for the same arguments.
        """
