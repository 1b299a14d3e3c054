"""Where videos come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from distillbench.interfaces.publications import Publication

if TYPE_CHECKING:  # torch takes a second, and results are read without any video
    from torch import Tensor

    from distillbench.interfaces.clips import Codec

LabelKind = Literal["multi-label", "single-label"]


@dataclass(frozen=True)
class Labels:
    """The labels of V videos as compressed rows.

    Video v has `classes[offsets[v] : offsets[v + 1]]`.

    offsets: (V + 1,) int64.
    classes: (L,) int64 within [0, count).
    count: C, the number of classes.
    """

    offsets: Tensor
    classes: Tensor
    count: int

    def dense(self, videos: Tensor) -> Tensor:
        """Returns (B, C) float32 of 0 and 1 for the videos (B,) int64."""
        import torch

        starts, ends = self.offsets[videos], self.offsets[videos + 1]
        counts = ends - starts
        rows = torch.repeat_interleave(torch.arange(len(videos)), counts)
        first = torch.repeat_interleave(starts - (counts.cumsum(0) - counts), counts)
        dense = torch.zeros(len(videos), self.count)
        dense[rows, self.classes[torch.arange(len(rows)) + first]] = 1.0
        return dense

    def positives(self) -> Tensor:
        """Returns how many videos have each class, (C,) int64."""
        return self.classes.bincount(minlength=self.count)

    def take(self, videos: Tensor) -> Labels:
        """Returns the labels of the videos (B,) int64, each as often as it is named."""
        import torch

        starts, ends = self.offsets[videos], self.offsets[videos + 1]
        counts = ends - starts
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        moved = torch.repeat_interleave(starts - offsets[:-1], counts)
        return Labels(offsets, self.classes[torch.arange(len(moved)) + moved], self.count)


class Videos(ABC):
    """One split of a data set: V videos whose frames are read on demand.

    ids: (V) strings, unique.
    lengths: (V,) int64, frames a video, at least 1.
    labels: of all V videos.
    features: name and width of each feature, in the order they are joined; D is their sum. The
    first is the visual one.
    class_names: C names, or None.
    codec: how frames are decoded.
    fingerprint: changes when anything read would.
    sparse: whether a frame is read without others; if not, a result counts the bytes of all.
    """

    ids: Sequence[str]
    lengths: Tensor
    labels: Labels
    features: Mapping[str, int]
    class_names: Sequence[str] | None
    codec: Codec
    fingerprint: str
    sparse: bool = True

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def width(self) -> int:
        """D, the width of a frame."""
        return sum(self.features.values())

    @abstractmethod
    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Reads the frames `frames` (B, S) int64 of the videos (B,) int64, and no others.

        Returns (B, S, D) uint8 (or floating point, where the data set stores that); zero where
        `frames` is `NO_FRAME`.

        out: a buffer of that shape and type to fill and return.
        """


@dataclass(frozen=True)
class Splits:
    """The three splits of a data set, disjoint by id."""

    train: Videos
    validation: Videos
    test: Videos


class DataSet(ABC):
    """Opens videos. `__init__(self, *, knobs)` only stores the knobs.

    `splits()` opens, and raises `DataError`.
    """

    label_kind: ClassVar[LabelKind] = "multi-label"
    label_loss: ClassVar[str] = ""
    """The loss on the labels that teachers and baselines minimize.

    Empty for the usual one of the label kind.
    """

    recipe: ClassVar[Mapping[str, object]] = {}
    """Settings recommended for this data, by dotted name (`training.epochs`, `student.cell_size`).

    They fill what the

    user left unsaid.
    """
    metrics: ClassVar[Sequence[str]] = ()
    """Names of the metrics that the data is judged by: the first chooses epochs and ranks the
    leaderboard, all are shown there. Empty: the defaults of the metrics for its label kind."""

    publication: ClassVar[Publication | None] = None
    """Where its files can be fetched from (`distillbench data fetch`); None where they cannot."""

    @abstractmethod
    def splits(self) -> Splits:
        """Opens the data set; two opens agree."""
