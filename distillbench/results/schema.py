"""What a result file and a failure file hold, format 2, as frozen dataclasses.

A file may hold more than is named here: other versions of distillbench add fields.
A field with a default may be absent: files of older versions lack some.
`results.parsing` reads files into these classes and names the wrong field of a damaged one.
`make docs` publishes them as JSON Schema in docs/schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, MinLen, Predicate
from pydantic import Strict, WithJsonSchema

# Without `Strict` the text "3" and the truth value `true` would pass for the integer 3 and 1.
Integer = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Count = Annotated[Integer, Ge(0)]
Positive = Annotated[Integer, Ge(1)]
Amount = Annotated[Number, Ge(0)]
Name = Annotated[str, MinLen(1)]
Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
_FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,200}"
_NO_FINGERPRINT = r"\0|(?:^|[/\\])\.{0,2}(?:[/\\]|$)"


def _is_file_name(text: str) -> bool:
    """Tells whether a text names a file beside the result, without a folder."""
    return bool(re.fullmatch(_FILE_NAME, text))


def _is_fingerprint(text: str) -> bool:
    """Tells whether a text can be a part of a file's name, as a data set's fingerprint is."""
    steps = set(re.split(r"[/\\]", text))
    return "\0" not in text and not {"", ".", ".."} & steps


FileName = Annotated[
    str,
    Predicate(_is_file_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_FILE_NAME}$"}),
]
Fingerprint = Annotated[
    str,
    Predicate(_is_fingerprint),
    WithJsonSchema({"type": "string", "not": {"pattern": _NO_FINGERPRINT}}),
]


@dataclass(frozen=True)
class StoredComponent:
    """A plugin's component with its knobs, and the distribution that it came from."""

    name: Name
    knobs: Mapping[str, Any]
    distribution: str
    version: str


@dataclass(frozen=True)
class StoredView:
    """Which frames a network sees; None: as its section has it."""

    selector: Name | None
    k: Any


@dataclass(frozen=True)
class StoredNetwork:
    """A network that the schedule declares, and the section of settings that it is built from."""

    section: Literal["teacher", "student"]
    view: StoredView
    width_of: Name | None = None


@dataclass(frozen=True)
class StoredTeacher:
    """The network that teaches in a term."""

    network: Name


@dataclass(frozen=True)
class StoredTerm:
    """A term of a learner's objective."""

    loss: Name
    weight: Any
    teacher: StoredTeacher | None
    view: StoredView | None


@dataclass(frozen=True)
class StoredLearner:
    """What a network minimizes in a phase."""

    terms: Sequence[StoredTerm]
    init: Mapping[str, Any]
    view: StoredView | None
    optimizer: Mapping[str, Amount] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredAverage:
    """A running average of a network's weights."""

    source: Name
    decay: Amount


@dataclass(frozen=True)
class StoredEnsemble:
    """Networks that teach together."""

    members: Sequence[Name]


@dataclass(frozen=True)
class StoredPhase:
    """A phase of training."""

    name: str
    epochs: Count
    learners: Mapping[Name, StoredLearner]
    averages: Mapping[Name, StoredAverage] = field(default_factory=dict)
    ensembles: Mapping[Name, StoredEnsemble] = field(default_factory=dict)
    starts: Mapping[Name, Name] = field(default_factory=dict)
    mixup: Amount = 0.0


@dataclass(frozen=True)
class StoredSpec:
    """The settings of a run.

    A run whose reported network is built from the student's section has all that belongs to the
    student, and the teacher's where it has a teacher; the other way round for a teacher.
    """

    data: StoredComponent
    head: StoredComponent
    schedule: StoredComponent
    losses: Mapping[Name, StoredComponent]
    training: Mapping[str, Any]
    seed: Integer
    phases: Sequence[StoredPhase]
    networks: Mapping[Name, StoredNetwork]
    student: StoredComponent | None = None
    selector: StoredComponent | None = None
    train_selector: StoredComponent | None = None
    k: Positive | None = None
    teacher: StoredComponent | None = None
    teacher_selector: StoredComponent | None = None


@dataclass(frozen=True)
class StoredLatency:
    """Seconds that a batch takes; load: programs that ran or waited for each core."""

    median: Amount
    p95: Amount
    throughput: Amount
    load: Amount | None = None


@dataclass(frozen=True)
class StoredSeconds:
    """Seconds that the evaluation of the test split took."""

    reading: Amount
    model: Amount
    metric: Amount
    sum: Amount


@dataclass(frozen=True)
class StoredCost:
    """What a test video costs the reported network, as in `evaluation.cost` and `.latency`.

    peak_memory: None where it cannot be seen, as that of an exported file.
    latency: by the batch size, "1" and "256".
    """

    macs: Amount | None
    flops: Amount | None
    published_macs: Amount | None
    parameters: Amount
    peak_memory: Amount | None
    frames_read: Amount
    bytes_read: Amount
    latency: Mapping[str, StoredLatency]
    evaluation_seconds: StoredSeconds
    memory_batch: Positive | None = None
    exits: Sequence[Mapping[str, Amount]] = ()


@dataclass(frozen=True)
class StoredLearnt:
    """What a network reached in an epoch; best: the number of its best epoch so far, from 1.

    terms: the mean of each loss over the training videos, unweighted, by its name.
    """

    terms: Mapping[str, Number]
    validation: Mapping[str, Number | None]
    best: Count | None = None


@dataclass(frozen=True)
class StoredEpoch:
    """An epoch of a phase, from 1, by network."""

    phase: str
    epoch: Count
    seconds: Amount
    networks: Mapping[Name, StoredLearnt]


@dataclass(frozen=True)
class StoredFingerprints:
    """A hash of each split's content."""

    test: Fingerprint
    train: Fingerprint | None = None
    validation: Fingerprint | None = None


@dataclass(frozen=True)
class StoredVideos:
    """How many videos each split has."""

    train: Positive
    validation: Count | None = None
    test: Positive | None = None


@dataclass(frozen=True)
class StoredData:
    """The data of a run; metrics: those it is judged by, first the one that chose the epochs."""

    fingerprints: StoredFingerprints
    videos: StoredVideos
    metrics: Annotated[Sequence[Name], MinLen(1)]


@dataclass(frozen=True)
class StoredMachine:
    """What a run was measured on; runs_beside: how many other runs went on at the same time."""

    device: str
    precision: str
    threads: Positive = 1
    runs_beside: Count = 0


@dataclass(frozen=True)
class StoredSpent:
    """What a network was trained with, over all phases."""

    epochs: Count
    steps: Count
    examples: Count
    seconds: Amount


@dataclass(frozen=True)
class StoredBudget:
    """What the run was trained with.

    epoch_chosen_by: the metric on the validation split.
    macs: multiply-accumulates of all training, a backward pass counted as two; None in older files.
    """

    epoch_chosen_by: str
    teacher: StoredSpent
    student: StoredSpent
    macs: Number | None = None


@dataclass(frozen=True)
class StoredFiles:
    """The files beside the result, by name."""

    network: FileName
    predictions: FileName


@dataclass(frozen=True)
class StoredTuning:
    """The arm of a tuning that a run is, how many trials chose its settings, and in which space.

    arm: empty, and trials 0, for a run that was not tuned.
    """

    arm: str = ""
    trials: Count = 0
    space: str = ""


@dataclass(frozen=True)
class StoredExport:
    """The exported file that a row is of.

    runtime: what ran it, with its version.
    bytes: its size.
    difference: the largest of any logit from the network's.
    """

    exporter: Name
    runtime: Name
    bytes: Positive
    difference: Amount


@dataclass(frozen=True)
class StoredResult:
    """A run that ended.

    id: the run's key.
    network: the one that is reported.
    objective: the weight of each loss as it was requested.
    sources: where each setting came from.
    quantized_from: the run whose network was converted to 8 bits.
    exported_from: the run whose network was exported; export: the file.
    interface: the version of the interface, 1 in files that do not have it.
    """

    id: FileName
    setup: StoredSpec
    metrics: Mapping[Name, Integer | Number | None]
    cost: StoredCost
    history: Sequence[StoredEpoch]
    finished: Moment
    network: Name
    warnings: Sequence[str]
    data: StoredData
    machine: StoredMachine
    budget: StoredBudget
    versions: Mapping[str, str]
    sources: Mapping[str, str]
    files: StoredFiles
    preset: str | None = None
    objective: Mapping[Name, Number] | None = None
    fidelity: Mapping[str, Number | None] | None = None
    quantized_from: FileName | None = None
    exported_from: FileName | None = None
    export: StoredExport | None = None
    interface: Positive = 1
    tuned: StoredTuning = StoredTuning()

    @property
    def spec(self) -> StoredSpec:
        """The settings of the run."""
        return self.setup

    @property
    def seconds(self) -> float:
        """Seconds of training, over all epochs of all phases."""
        return sum(epoch.seconds for epoch in self.history)


@dataclass(frozen=True)
class StoredFailure:
    """A run without a result; attempts: how often it was tried."""

    id: FileName
    status: Literal["failed", "not applicable", "stopped"]
    reason: str
    network: Name
    setup: StoredSpec
    warnings: Sequence[str]
    preset: str | None = None
    attempts: Positive = 1
    finished: Moment | None = None
