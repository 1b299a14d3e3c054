"""Your own features in parquet files: a row a video."""

from __future__ import annotations

import logging
import os
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

from distillbench import hookimpl
from distillbench.data import (
    ArrowFormat,
    FeatureSource,
    RowColumns,
    cache_folder,
    warn_of_single_labels,
    written_whole,
)
from distillbench.interfaces import DataSet, LabelKind, Splits

_ROWS = 32  # that are in memory at once
_LOG = logging.getLogger(__name__)


class ParquetFormat(ArrowFormat):
    """Arrays that are rows of parquet files, each of which is converted once to an Arrow file.

    A column of parquet is encoded and compressed in pages of many rows: for one frame of a video
    all that is before it in its page would be decoded again and again.
    """

    nothing: ClassVar[str] = "no row in a *.parquet of this folder or below it"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    def mapped(self, path: Path) -> Path:
        """Returns the Arrow file that a parquet file was converted to, now or before."""
        import pyarrow.parquet as pq  # takes a third of a second, and only this format needs it

        status = os.stat(path)
        with pq.ParquetFile(path) as file:
            wanted = [name for name in self.columns_of(path, file.schema_arrow) if name]
            about = str(path.absolute()), status.st_size, status.st_mtime_ns, wanted
            digest = blake2b(repr(about).encode(), digest_size=12).hexdigest()
            place = cache_folder("arrow") / f"{path.stem[:80]}.{digest}.arrow"
            if not place.is_file():
                _LOG.warning("converting %s once, to %s", path, place)
                _convert(file, wanted, place)
        return place


def _convert(file: Any, wanted: list[str], place: Path) -> None:
    import pyarrow as pa

    schema = file.schema_arrow
    kept = pa.schema([schema.field(name) for name in wanted], schema.metadata)
    place.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(place) as into, pa.ipc.new_file(into, kept) as arrow:
        for batch in file.iter_batches(_ROWS, columns=wanted):
            arrow.write_batch(pa.record_batch([batch[name] for name in wanted], schema=kept))


class Parquet(DataSet):
    """Your own features in parquet: one file or a folder of them, a row a video.

    A video has any number of labels; `parquet-single-label` is for videos of one each.

    Parquet cannot be read by the frame: each file is converted once, to an Arrow file in the cache.
    """

    def __init__(
        self, *, columns: RowColumns = RowColumns(), arrays: FeatureSource = FeatureSource()
    ) -> None:
        self._form, self._arrays = ParquetFormat(columns, "huggingface"), arrays

    def splits(self) -> Splits:
        """Opens the rows, converting new files; warns where every video has one label."""
        splits = self._arrays.splits(self._form, self.label_kind)
        warn_of_single_labels(splits.train, "parquet-single-label")
        return splits


class ParquetSingleLabel(DataSet):
    """Rows as of `parquet`, whose videos have exactly one label each.

    Networks are trained and judged as classifiers of one class a video.
    """

    label_kind: ClassVar[LabelKind] = "single-label"

    def __init__(
        self, *, columns: RowColumns = RowColumns(), arrays: FeatureSource = FeatureSource()
    ) -> None:
        self._form, self._arrays = ParquetFormat(columns, "huggingface"), arrays

    def splits(self) -> Splits:
        """Opens the rows, converting new files; a video of several labels is an error."""
        return self._arrays.splits(self._form, self.label_kind)


@hookimpl
def datasets() -> dict[str, type[DataSet]]:
    """Offers `parquet` and `parquet-single-label`."""
    return {"parquet": Parquet, "parquet-single-label": ParquetSingleLabel}
