"""What a data-set plugin is made with: shards, splits, vocabularies and a writer of shards.

Most plugins need `ShardSource` alone. It finds shards (`find_shards`), opens them all as one
(`ShardVideos`) and shares their videos out (`split_by_hash`, `nested_fraction`, `load_ids`,
`splits_of`). `NpySource` does so with a folder of arrays (`NpyArray`, `NpyVideos`). `JoinedVideos`
joins pieces of videos end to end. `require_bounds` refuses numbers that make no sense. `pack`
writes any data set as shards.
"""

from __future__ import annotations

from distillbench.data.bounds import LARGEST_SEED, MOST_CLASSES, require_bounds
from distillbench.data.cache import cache_folder, written_whole
from distillbench.data.ids import Ids
from distillbench.data.inspect import FileReport, Inspection, Spread, inspect
from distillbench.data.joined_videos import JoinedVideos, draw_in_rounds
from distillbench.data.npy_source import NpySource
from distillbench.data.npy_videos import NpyArray, NpyVideos
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

__all__ = [
    "LARGEST_SEED",
    "MOST_CLASSES",
    "FileReport",
    "Ids",
    "Inspection",
    "JoinedVideos",
    "NpyArray",
    "NpySource",
    "NpyVideos",
    "PackError",
    "PackProgress",
    "PackType",
    "Packed",
    "Recipe",
    "ShardSource",
    "ShardVideos",
    "Spread",
    "StoredVideos",
    "Subset",
    "Video",
    "cache_folder",
    "draw_in_rounds",
    "encode",
    "find_shards",
    "find_vocabulary",
    "indexing_progress",
    "inspect",
    "load_ids",
    "nested_fraction",
    "pack",
    "read_vocabulary",
    "require_bounds",
    "save_ids",
    "split_by_hash",
    "splits_of",
    "synthetic_videos",
    "warn_of_single_labels",
    "write_shard",
    "write_synthetic",
    "written_whole",
]
