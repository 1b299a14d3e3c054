"""AudioSet: the frame-level embeddings that Google publishes, in YouTube-8M's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from distillbench import hookimpl
from distillbench.data import ShardSource
from distillbench.interfaces import DataSet, Splits


class AudioSet(DataSet):
    """AudioSet v1 shards: clips of up to 10 seconds, 128 numbers a second, 527 classes.

    With only `dir`, its clips are shared out by a hash of their ids.

    The recipe trains until validation is no longer better. It is the second best of nine trials of
    a student alone, rounded (benchmarks/study/audioset_recipe.toml).
    """

    recipe: ClassVar[Mapping[str, object]] = {
        "data.normalise": "standardise",
        "training.epochs": 40,
        "training.patience": 4,
        "training.batch_size": 256,
        "training.learning_rate": 0.004,
        "training.decay": 0.83,
        "training.decay_examples": 20_000,
        "head.dropout": 0.65,
        "teacher.cell_size": 256,
        "student.cell_size": 256,
        "teacher.block_length": 5,
        "student.block_length": 5,
        "k": 5,
    }

    def __init__(self, *, shards: ShardSource = ShardSource(features="audio_embedding")) -> None:
        self._shards = shards

    def splits(self) -> Splits:
        """Opens the shards, indexing those that are new."""
        return self._shards.splits()


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `audioset`."""
    return {"audioset": AudioSet}
