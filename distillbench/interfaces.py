"""What flows between the parts of a run, and what a plugin of each kind is.

The letters used for shapes: B videos, T frames (padded), S frames kept, D feature width, E encoding width,
W state width, C classes, V videos of a split.

Positional constructor arguments are given by the framework; keyword-only ones are the component's knobs: each is
typed (`int`, `float`, `bool`, `str`, `Literal[...]` or `... | None`) and has a default.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

INTERFACE_VERSION = 1
"""Part of every key: grows when a plugin must change, or when the same question comes to mean other numbers."""

NO_FRAME = -1
"""Marks, in an index of frames, a slot that holds no frame; such slots end a row."""


# ---------------------------------------------------------------------------------------------- what flows


@dataclass(frozen=True)
class Clips:
    """Some frames of B videos, padded to the longest.

    frames: (B, T, D), uint8 as stored or floating point once decoded; padded frames are zero.
    lengths: (B,) int64, at least 1, always on the CPU, so that shapes are decided without waiting for a device.
    times: (B, T) int64, always on the CPU: each frame's number in its video; `NO_FRAME` where padded.
    slots: how many frames the selector was asked for; a video may have had fewer.
    """

    frames: Tensor
    lengths: Tensor
    times: Tensor
    slots: int

    def mask(self) -> Tensor:
        """Tells real frames from padding: (B, T) bool on the frames' device."""
        real = torch.arange(self.frames.shape[1]) < self.lengths[:, None]
        return real.to(self.frames.device, non_blocking=True)

    def take(self, index: Tensor) -> Clips:
        """Keeps the frames at positions `index` (B, S) int64, ascending, `NO_FRAME` at the end of a row."""
        kept = index >= 0
        lengths = kept.sum(1)
        positions = index.clamp_min(0)
        frames = self.frames.gather(
            1, positions.to(self.frames.device)[:, :, None].expand(-1, -1, self.frames.shape[2])
        )
        frames = frames * kept.to(frames.device, frames.dtype)[:, :, None]
        times = self.times.gather(1, positions).masked_fill(~kept, NO_FRAME)
        return Clips(frames, lengths, times, index.shape[1])

    def to(self, device: torch.device) -> Clips:
        """Moves the frames; lengths and times stay on the CPU."""
        return replace(self, frames=self.frames.to(device, non_blocking=True))


@dataclass(frozen=True)
class Codec:
    """How stored uint8 frames become numbers: value = q * scale + offset, then each frame divided by its norm.

    The default is YouTube-8M's: Google's decoder, q * 4 / 255 + 4 / 512 - 2 (biased by 1/128, which is kept).
    """

    scale: float = 4.0 / 255.0
    offset: float = 4.0 / 512.0 - 2.0
    normalise: Literal["l2", "none"] = "l2"

    def decode(self, clips: Clips, dtype: torch.dtype = torch.float32) -> Clips:
        """Decodes on whatever device the frames are on; padded frames become zero."""
        frames = clips.frames.to(dtype)
        if not clips.frames.is_floating_point():
            frames = frames * self.scale + self.offset
        if self.normalise == "l2":
            frames = nn.functional.normalize(frames, dim=2, eps=1e-6)
        return replace(clips, frames=frames * clips.mask()[:, :, None].to(dtype))


@dataclass(frozen=True)
class Encoding:
    """What an encoder makes of B clips.

    summary: (B, E), the encoding of the whole video.
    states: (B, T', W), the state after each of some frames, or None where the encoder was not asked or has none.
    times: (B, T') int64 on the CPU, the number of the frame each state follows, `NO_FRAME` where padded; None
        exactly where states is.
    """

    summary: Tensor
    states: Tensor | None = None
    times: Tensor | None = None


@dataclass(frozen=True)
class Outcome:
    """What a matching loss compares: an encoding and the logits (B, C) that the head made of it."""

    encoding: Encoding
    logits: Tensor


@dataclass(frozen=True)
class Shapes:
    """The widths of a network, known before any batch: summary E, states W (None: the encoder has none), classes C."""

    summary: int
    states: int | None
    classes: int


Network = Literal["teacher", "student"]
Keeps = Literal["k", "at most k", "all"]
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


class ClipGenerator:
    """Independent random numbers for each of B clips: a function of the seed, the clip and how often it was asked.

    A clip's numbers do not depend on the batch it is in, so a selection can be repeated for a single video, resumed in
    the middle of an epoch and shared out over processes. The mixing function is splitmix64 (Steele et al. 2014).
    """

    def __init__(self, keys: Tensor) -> None:
        """keys: (B,) int64, one for each clip, any values."""
        self._keys = keys.to(torch.int64)
        self._drawn = 0

    def __len__(self) -> int:
        return len(self._keys)

    def rand(self, count: int) -> Tensor:
        """Draws the next `count` numbers of each clip: (B, count) float64, uniform in [0, 1)."""
        steps = torch.arange(self._drawn + 1, self._drawn + count + 1, dtype=torch.int64)
        self._drawn += count
        mixed = _mix(_mix(self._keys)[:, None] + steps * -7046029254386353131)
        return _shift(mixed, 11).to(torch.float64) * 2.0**-53


def _shift(value: Tensor, bits: int) -> Tensor:
    """Shifts int64 right as if it were unsigned."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _mix(value: Tensor) -> Tensor:
    value = (value ^ _shift(value, 30)) * -4658895280553007687
    value = (value ^ _shift(value, 27)) * -7723592293110705685
    return value ^ _shift(value, 31)


# ------------------------------------------------------------------------------------- what plugins are: models


class Encoder(nn.Module, ABC):
    """Turns clips into one encoding a video. Offered by the hooks `teacher_encoders` and `student_encoders`.

    `__init__(self, width, *, knobs)`: width is D. A clip's encoding depends on that clip's real frames alone.

    An encoder that has states makes them only while `keeps_states` is set, which the framework does when a loss needs
    them. An encoder may offer `published_macs(frames, width) -> int`: what a paper's own convention would count for
    one video, width being that of the first (visual) feature; it is reported beside the full count. A module within it
    whose products are not `nn.Linear`, `nn.LSTM` or `nn.GRU` takes part in quantisation if it offers
    `with_linears() -> nn.Module`, an equal module for inference made of `nn.Linear`s.
    """

    keeps_states: bool = False

    @abstractmethod
    def forward(self, clips: Clips) -> Encoding:
        """Encodes decoded clips: frames (B, T, D) floating point."""


class Head(nn.Module, ABC):
    """Turns encodings into logits. `__init__(self, width, classes, *, knobs)`: width is E, classes is C.

    The logit is log p - log(1 - p) whatever the head computes inside, so that every loss and metric reads one currency.
    """

    @abstractmethod
    def forward(self, summary: Tensor) -> Tensor:
        """Returns the logits (B, C) of summaries (B, E)."""


# --------------------------------------------------------------------- what plugins are: selectors, losses, schedules


class FrameSelector(ABC):
    """Chooses frames before anything is read. `__init__(self, k, *, knobs)`: k >= 1 is how many it may keep.

    scan_stride: 0 for a selector that needs nothing but lengths; s for one that must first see every s-th frame, which
        is then read for it and counted as its cost.
    keeps: how many frames of a video that has k or more it keeps.
    """

    scan_stride: int = 0
    keeps: ClassVar[Keeps] = "k"

    @abstractmethod
    def select(self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool) -> Tensor:
        """Returns the numbers of the frames to keep: (B, S) int64, strictly ascending, `NO_FRAME` at a row's end.

        lengths: (B,) int64, the frames each video has. scanned: decoded, every `scan_stride`-th frame; None where that
        is 0. generator: the only source of chance. training: a selector may differ in training and in evaluation.
        A video of at most k frames keeps them all, unless the selector's documentation says otherwise.
        """


Need = Literal["labels", "teacher", "logits", "summary", "states", "equal-widths", "batch"]
Claim = Literal["batch-mean", "least-at-match", "any-width"]
LabelKind = Literal["multi-label", "single-label"]


@dataclass(frozen=True)
class Passport:
    """What a loss needs, where it is valid and what it promises beyond the contract.

    needs: `labels`; `teacher` (an outcome to match); which parts of an outcome it reads (`logits`, `summary`, `states`);
        `equal-widths` of what it compares; `batch`: it compares the videos of a batch with one another.
    valid_for: the label kinds the loss is meant for; another kind is allowed, warned of and noted on the row.
    claims: `batch-mean`: a batch joined with itself gives the same value; `least-at-match`: no student does better than
        one equal to its teacher; `any-width`: teacher and student may differ in width.
    """

    needs: frozenset[Need]
    valid_for: frozenset[LabelKind] = frozenset({"multi-label", "single-label"})
    claims: frozenset[Claim] = frozenset()


class MatchingLoss(nn.Module, ABC):
    """Compares a student with its teacher, or with the labels. `__init__(self, student, teacher, *, knobs)`: two `Shapes`.

    Sums over widths or classes and averages over the batch unless its documentation says otherwise.
    """

    passport: ClassVar[Passport]

    @abstractmethod
    def forward(self, student: Outcome, teacher: Outcome | None, labels: Tensor) -> Tensor:
        """Returns one scalar. labels: (B, C) of 0 and 1, in the logits' dtype. teacher: without gradient; None where the
        passport does not need it and there is none.
        """


class TrainingSchedule(ABC):
    """Declares who learns what, and when; never sees a model. `__init__(self, objective, *, knobs)`.

    objective: the student's losses and their weights, as the user gave them.
    """

    trains_student: ClassVar[bool] = True
    """False for a schedule whose answer is the teacher: the row then reports the teacher's quality and cost."""

    @abstractmethod
    def phases(self, epochs: int) -> Sequence[Phase]:
        """Returns the phases, in order, for a budget of `epochs` a learner; the same for the same arguments."""


# ------------------------------------------------------------------------------------------ what plugins are: data


@dataclass(frozen=True)
class Labels:
    """The labels of V videos as compressed rows: video v has `classes[offsets[v] : offsets[v + 1]]`.

    offsets: (V + 1,) int64. classes: (L,) int64 within [0, count). count: C, the number of classes.
    """

    offsets: Tensor
    classes: Tensor
    count: int

    def dense(self, videos: Tensor) -> Tensor:
        """Returns (B, C) float32 of 0 and 1 for the videos (B,) int64."""
        starts, ends = self.offsets[videos], self.offsets[videos + 1]
        counts = ends - starts
        rows = torch.repeat_interleave(torch.arange(len(videos)), counts)
        first = torch.repeat_interleave(starts - (counts.cumsum(0) - counts), counts)
        dense = torch.zeros(len(videos), self.count)
        dense[rows, self.classes[torch.arange(len(rows)) + first]] = 1.0
        return dense


class Videos(ABC):
    """One split of a data set: V videos whose frames are read on demand.

    ids: (V) strings, unique. lengths: (V,) int64, frames a video, at least 1. labels: of all V videos.
    features: name and width of each feature, in the order they are joined; D is their sum. The first is the visual one.
    class_names: C names, or None. codec: how frames are decoded. fingerprint: changes when anything read would.
    """

    ids: Sequence[str]
    lengths: Tensor
    labels: Labels
    features: Mapping[str, int]
    class_names: Sequence[str] | None
    codec: Codec
    fingerprint: str

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def width(self) -> int:
        """D, the width of a frame."""
        return sum(self.features.values())

    @abstractmethod
    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Reads the frames numbered `frames` (B, S) int64 of the videos (B,) int64, and nothing else.

        Returns (B, S, D) uint8 (or floating point, where the data set stores that); zero where `frames` is `NO_FRAME`.
        out: a buffer of that shape and type to fill and return.
        """


@dataclass(frozen=True)
class Splits:
    """The three splits of a data set, disjoint by id."""

    train: Videos
    validation: Videos
    test: Videos


class DataSet(ABC):
    """Opens videos. `__init__(self, *, knobs)` only stores the knobs; `splits()` opens, and raises `DataError`."""

    label_kind: ClassVar[LabelKind] = "multi-label"
    recipe: ClassVar[Mapping[str, object]] = {}
    """Settings recommended for this data, by dotted name (`training.epochs`, `student.cell_size`): they fill what the
    user left unsaid."""

    @abstractmethod
    def splits(self) -> Splits:
        """Opens the data set; two opens agree."""


# ------------------------------------------------------------------------------------------- what plugins are: presets


class Preset(ABC):
    """Many settings under one name. `__init__(self, *, knobs)`."""

    @abstractmethod
    def settings(self, k: int) -> Mapping[str, object]:
        """Returns settings by dotted name (`schedule.head`, `training.decay`, `loss.pred.divergence`) for k frames."""
