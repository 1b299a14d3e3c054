"""YouTube-8M: frame-level shards as Google publishes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from distillbench import hookimpl
from distillbench.data import ShardSource
from distillbench.interfaces import DataSet, Splits

_PAPER_VALIDATION = 48_163 / 5_786_881


class YouTube8M(DataSet):
    """YouTube-8M frame-level shards (one frame a second, rgb 1024 + audio 128), or any in the same layout.

    With only `dir`, its videos are shared out by a hash of their ids. The paper's protocol (docs/paper.md, section 4)
    is `train` the training shards and `test` the published validation shards; its validation videos are then drawn out
    of `train`.

    Knobs:
        dir: folder of *.tfrecord, which patterns begin in.
        train: pattern of the training shards.
        validation: pattern of the validation shards; none: drawn out of the training videos.
        test: pattern of the test shards; none: drawn out of the training videos.
        ids: folder of train.txt, validation.txt, test.txt (an id a line) that name the videos of each split.
        features: the lists that make a frame, joined in this order.
        fraction: how much of the training videos to use; a smaller part is always within a larger one.
        validation_share: drawn for validation; none: the paper's 48,163 of 5,786,881 beside test shards, else 0.1.
        test_share: drawn for the test.
        split_seed: changes what is drawn.
        classes: their number; none: what the vocabulary says, else the highest label and one.
        vocabulary: csv of class names; none: the one beside the shards, if any.
        skip_bad_records: leave out, count and report what cannot be read, rather than stop.
    """

    recipe: ClassVar[Mapping[str, object]] = {
        "training.epochs": 5,
        "training.batch_size": 256,
        "training.learning_rate": 1e-3,
    }

    def __init__(
        self,
        *,
        dir: str = "",
        train: str = "",
        validation: str = "",
        test: str = "",
        ids: str = "",
        features: str = "rgb,audio",
        fraction: float = 1.0,
        validation_share: float | None = None,
        test_share: float = 0.1,
        split_seed: int = 0,
        classes: int | None = None,
        vocabulary: str = "",
        skip_bad_records: bool = False,
    ) -> None:
        share = validation_share if validation_share is not None else _PAPER_VALIDATION if test else 0.1
        self._source = ShardSource(
            folder=dir,
            train=train,
            validation=validation,
            test=test,
            ids=ids,
            features=features,
            fraction=fraction,
            validation_share=share,
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
    """Offers `yt8m`."""
    return {"yt8m": YouTube8M}
