"""Classifies files: of videos only the chosen frames are decoded and encoded."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.data.batches import Reads
from distillbench.data.npy_videos import NpyVideos, npy_array
from distillbench.data.paths import expanded
from distillbench.errors import ConfigError, DataError
from distillbench.evaluation.scores import Scores, VideoCost, probabilities
from distillbench.interfaces import Clips, Labels, Videos
from distillbench.machine import cores
from distillbench.networks import Model
from distillbench.registry.discovery import Registry
from distillbench.training.build import Experiment
from distillbench.video.extract import find_files
from distillbench.video.extraction import FILE, Extraction
from distillbench.video.features import EncodedVideo, FrameEncoder, Spent
from distillbench.video.video_file import SUFFIXES

FEATURES = ".npy"
"""How the names of files with features end; all others are videos."""


@dataclass(frozen=True)
class Classified:
    """A file with the probability of each class (C), or with what is wrong with it."""

    id: str
    path: Path
    values: NDArray[np.float32] | None = None
    cost: VideoCost | None = None
    problem: str = ""


class Predictor:
    """Classifies files with a run's network: videos, or features as the run's data stores them."""

    def __init__(self, experiment: Experiment, model: Model, registry: Registry) -> None:
        self._experiment, self._model, self._registry = experiment, model, registry
        self._like = experiment.splits.test
        self._view: Reads = experiment.evaluation_views[experiment.spec.reports]
        self._device = next(iter(model.parameters()), torch.empty(0)).device

    @property
    def class_names(self) -> Sequence[str] | None:
        """The names of the C classes, if they have any."""
        return self._like.class_names

    def classify(self, given: Sequence[Path]) -> Iterator[Classified]:
        """Classifies files, and those in folders, one after the other, in the order of their ids.

        A file that cannot be used costs itself. Raises `ConfigError` before the first where files
        are not there, or where the run's data does not say how features are made of videos.
        """
        found = find_files(given, {*SUFFIXES, FEATURES})
        are_features = [path.suffix.lower() == FEATURES for path in found.values()]
        encoder = None if all(are_features) else self._encoder()
        return (self._classified(name, path, encoder) for name, path in found.items())

    def _classified(self, name: str, path: Path, encoder: FrameEncoder | None) -> Classified:
        began = time.perf_counter()
        try:
            videos, spent = self._opened(path, encoder)
            logits = self._logits(videos)
        except DataError as error:
            return Classified(name, path, problem=str(error).removeprefix(f"{path}: "))
        student = time.perf_counter() - began - spent.decoding - spent.encoding
        cost = VideoCost(
            int(videos.lengths[0]),
            spent.encoded,
            spent.decoded,
            spent.decoding,
            spent.encoding,
            student,
        )
        kind = self._experiment.spec.label_kind
        return Classified(name, path, probabilities(logits, kind)[0], cost)

    def _opened(self, path: Path, encoder: FrameEncoder | None) -> tuple[Videos, Spent]:
        if encoder is None or path.suffix.lower() == FEATURES:
            return _features(path, self._like), Spent()
        video = EncodedVideo(path, encoder, self._like)
        return video, video.spent

    def _logits(self, videos: Videos) -> Tensor:
        """Lets the run's selector choose frames, reads those, and classifies them: (1, C)."""
        with torch.inference_mode():
            chosen = self._view.chosen(videos, torch.tensor([0]), 0, slice(None))
            frames = videos.read(chosen.videos, chosen.index)
            lengths = (chosen.index >= 0).sum(1)
            clips = Clips(frames, lengths, chosen.index, chosen.slots, chosen.keys)
            logits: Tensor = self._model(clips.to(self._device)).logits
            return logits.cpu()

    def _encoder(self) -> FrameEncoder:
        """Loads what the features of the run's data were made with."""
        folder = self._experiment.spec.data.knobs.get("dir")
        extraction = None
        if isinstance(folder, str) and folder:
            extraction = Extraction.read(expanded(folder), self._registry)
        if extraction is None:
            raise ConfigError(
                [
                    "how features are made of videos is not known: the run's data was not made by"
                    f" distillbench extract, which leaves {FILE} in its folder; files of features"
                    f" ({FEATURES}) can be classified"
                ]
            )
        encoder = extraction.encoder(self._device, threads=cores())
        if encoder.backbone.width != self._like.width:
            raise ConfigError(
                [
                    f"the backbone makes {encoder.backbone.width:,} numbers of a frame, and the"
                    f" run's data has {self._like.width:,}"
                ]
            )
        return encoder


def _features(path: Path, like: Videos) -> NpyVideos:
    """Opens a file of features as one video."""
    array = npy_array(path)
    if array.width != like.width:
        raise DataError(
            f"{path}: a frame of it has {array.width:,} numbers, and one of the run's data"
            f" {like.width:,}"
        )
    ends = torch.zeros(2, dtype=torch.int64)
    labels = Labels(ends, ends[:0], like.labels.count)
    return NpyVideos([array], [path.stem], labels, class_names=like.class_names, codec=like.codec)


def gathered(classified: Iterable[Classified], class_names: Sequence[str] | None) -> Scores:
    """Gathers the scores of files; raises `DataError` where none could be used."""
    each = list(classified)
    unusable = {str(one.path): one.problem for one in each if one.problem}
    values = [one.values for one in each if one.values is not None]
    if not values:
        lines = [f"{path}: {problem}" for path, problem in unusable.items()]
        raise DataError("no file can be used:\n" + "\n".join(lines))
    return Scores(
        tuple(one.id for one in each if one.values is not None),
        np.stack(values),
        class_names,
        tuple(one.cost for one in each if one.cost is not None),
        unusable,
    )
