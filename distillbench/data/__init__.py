"""What a data-set plugin is made with: shards, splits, vocabularies and a writer of shards.

Most plugins need `ShardSource` alone. It finds shards (`find_shards`), opens them all as one
(`ShardVideos`) and shares their videos out (`split_by_hash`, `nested_fraction`, `load_ids`,
`splits_of`). `FeatureSource` does so with arrays in files of any format: an `ArrayFormat` finds
and reads them, as `NpyFolder` and `ArrowFormat` do; `NpyVideos` reads one file a video,
`MappedVideos` arrays that lie within large files. `JoinedVideos` joins pieces of videos end to end.
`require_bounds` refuses numbers that make no sense. `pack` writes any data set as shards.
"""

from __future__ import annotations

from distillbench.data.array_format import ArrayFormat, Found, files_below, splits_of_files
from distillbench.data.arrow_rows import ArrowFormat, RowColumns
from distillbench.data.bounds import LARGEST_SEED, MOST_CLASSES, require_bounds
from distillbench.data.faults import Faults
from distillbench.data.feature_source import FeatureSource
from distillbench.data.ids import Ids
from distillbench.data.inspect import (
    DataReport,
    FileReport,
    Inspection,
    SplitReport,
    Spread,
    inspect,
    inspect_splits,
)
from distillbench.data.joined_videos import JoinedVideos, draw_in_rounds
from distillbench.data.label_table import labels_beside, labels_of
from distillbench.data.mapped_videos import MappedVideos
from distillbench.data.npy_folder import NpyFolder
from distillbench.data.npy_videos import NpyVideos, npy_array, npy_within
from distillbench.data.packing import Packed, PackError, PackProgress, PackType, pack
from distillbench.data.shard_source import ShardSource
from distillbench.data.splits import (
    Subset,
    load_ids,
    nested_fraction,
    save_ids,
    split_by_hash,
    splits_of,
    warn_of_single_labels,
)
from distillbench.data.stored_arrays import (
    ArrayVideos,
    StoredArray,
    UnusableArrayError,
    require_finite,
    require_frames,
    sampled,
)
from distillbench.data.stored_videos import StoredVideos
from distillbench.data.tfrecord.index_cache import indexing_progress
from distillbench.data.tfrecord.reader import ShardVideos, find_shards
from distillbench.data.tfrecord.writer import (
    Recipe,
    Video,
    encode,
    synthetic_videos,
    write_shard,
    write_synthetic,
)
from distillbench.data.vocabulary import find_vocabulary, read_vocabulary
from distillbench.storage import cache_folder, written_whole

__all__ = [
    "LARGEST_SEED",
    "MOST_CLASSES",
    "ArrayFormat",
    "ArrayVideos",
    "ArrowFormat",
    "DataReport",
    "Faults",
    "FeatureSource",
    "FileReport",
    "Found",
    "Ids",
    "Inspection",
    "JoinedVideos",
    "MappedVideos",
    "NpyFolder",
    "NpyVideos",
    "PackError",
    "PackProgress",
    "PackType",
    "Packed",
    "Recipe",
    "RowColumns",
    "ShardSource",
    "ShardVideos",
    "SplitReport",
    "Spread",
    "StoredArray",
    "StoredVideos",
    "Subset",
    "UnusableArrayError",
    "Video",
    "cache_folder",
    "draw_in_rounds",
    "encode",
    "files_below",
    "find_shards",
    "find_vocabulary",
    "indexing_progress",
    "inspect",
    "inspect_splits",
    "labels_beside",
    "labels_of",
    "load_ids",
    "nested_fraction",
    "npy_array",
    "npy_within",
    "pack",
    "read_vocabulary",
    "require_bounds",
    "require_finite",
    "require_frames",
    "sampled",
    "save_ids",
    "split_by_hash",
    "splits_of",
    "splits_of_files",
    "synthetic_videos",
    "warn_of_single_labels",
    "write_shard",
    "write_synthetic",
    "written_whole",
]
