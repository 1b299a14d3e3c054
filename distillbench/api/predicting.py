"""A stored run's network, given videos."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from distillbench.api.stored import Run, Warn, load
from distillbench.data.in_memory import InMemoryVideos
from distillbench.errors import ConfigError
from distillbench.evaluation.scores import Scores, scores_of
from distillbench.experiments.predict import Predictor, gathered
from distillbench.interfaces import Videos
from distillbench.networks import Model
from distillbench.registry import discovery as installed
from distillbench.results.folders import Folders, PathLike
from distillbench.training.build import Experiment


def predict(run: PathLike | Run, videos: Any = "test", *, results: Folders = "results") -> Scores:
    """Scores videos with a run's network, which sees of each what its selector chooses.

    videos: a split of the run's data (`train`, `validation`, `test`); or a sequence of arrays (T,
    D), one a video: frames as its data stores them, features joined in the same order; or paths of
    video files, of .npy files with such frames and of folders of these. Of video files only the
    chosen frames are decoded and encoded, as `distillbench extract` did with the run's data.

    Raises `ConfigError` where videos are none of these, `DataError` where frames are not like those
    of its data or no file can be used.
    """
    found = load(run, results)
    experiment, model = found._restored.experiment, found.network
    assert isinstance(model, Model)
    if files := _files(videos):
        made = Predictor(experiment, model, installed.discover())
        return gathered(made.classify(files), made.class_names)
    model_device = next(iter(model.parameters()), torch.empty(0)).device
    split = _videos(videos, experiment)
    view = experiment.evaluation_views[experiment.spec.reports]
    size, kind = experiment.spec.training.batch_size, experiment.spec.label_kind
    return scores_of(model, split, view, size, model_device, kind)


def predictor(
    run: PathLike | Run, results: Folders = "results", warn: Warn = warnings.warn
) -> Predictor:
    """Restores a run's network to classify files with."""
    found = load(run, results, warn=warn)
    assert isinstance(found.network, Model)
    return Predictor(found._restored.experiment, found.network, installed.discover())


def _files(videos: Any) -> list[Path]:
    """Returns the files that are meant; a text is one if there is such a file, else a split."""
    if isinstance(videos, str):
        return [Path(videos)] if videos and Path(videos).exists() else []
    if isinstance(videos, Path):
        return [videos]
    is_many = isinstance(videos, Sequence) and len(videos) > 0
    if is_many and all(isinstance(each, (str, Path)) for each in videos):
        return [Path(each) for each in videos]
    return []


def _videos(videos: Any, experiment: Experiment) -> Videos:
    names = [field.name for field in dataclasses.fields(experiment.splits)]
    if isinstance(videos, str):
        if videos not in names:
            raise ConfigError([f"no split is called '{videos}'; there are: {', '.join(names)}"])
        split: Videos = getattr(experiment.splits, videos)
        return split
    return InMemoryVideos(videos, experiment.splits.test)
