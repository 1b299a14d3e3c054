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

    Knobs:
        dir: folder of *.tfrecord, which patterns begin in.
        train: pattern of the training shards.
        validation: pattern of the validation shards; none: drawn out of the training clips.
        test: pattern of the test shards; none: drawn out of the training clips.
        ids: folder of train.txt, validation.txt, test.txt (an id a line) that name the clips of each split.
        features: the lists that make a frame, joined in this order.
        fraction: how much of the training clips to use; a smaller part is always within a larger one.
        validation_share: drawn for validation.
        test_share: drawn for the test.
        split_seed: changes what is drawn.
        classes: their number; none: what the vocabulary says, else the highest label and one.
        vocabulary: csv of class names; none: the one beside the shards, if any.
        skip_bad_records: leave out, count and report what cannot be read, rather than stop.
    """

    recipe: ClassVar[Mapping[str, object]] = {
        "training.epochs": 6,
        "training.batch_size": 256,
        "teacher.cell_size": 256,
        "student.cell_size": 256,
        "teacher.block_length": 5,
        "student.block_length": 5,
        "k": 5,
    }

    def __init__(
        self,
        *,
        dir: str = "",
        train: str = "",
        validation: str = "",
        test: str = "",
        ids: str = "",
        features: str = "audio_embedding",
        fraction: float = 1.0,
        validation_share: float = 0.1,
        test_share: float = 0.1,
        split_seed: int = 0,
        classes: int | None = None,
        vocabulary: str = "",
        skip_bad_records: bool = False,
    ) -> None:
        self._source = ShardSource(
            folder=dir,
            train=train,
            validation=validation,
            test=test,
            ids=ids,
            features=features,
            fraction=fraction,
            validation_share=validation_share,
            test_share=test_share,
            split_seed=split_seed,
            classes=classes,
            vocabulary=vocabulary,
            skip_bad_records=skip_bad_records,
        )

    def splits(self) -> Splits:
        """Opens the shards, indexing those that are new."""
        return self._source.splits()


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `audioset`."""
    return {"audioset": AudioSet}
