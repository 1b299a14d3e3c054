"""Cached outputs of a frozen teacher on the training split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from distillbench.config.run_spec import without_releases
from distillbench.data.batches import Chosen, Reads, batches, clips_at
from distillbench.errors import ResultError, TrainingError
from distillbench.interfaces import INTERFACE_VERSION, Clips, Output, Videos, ViewSpec
from distillbench.networks import Model, evaluating
from distillbench.training.build import Experiment
from distillbench.training.callbacks import Observer
from distillbench.training.output_cache import CachedOutputs, CacheEntry, OutputCache
from distillbench.training.views import longest_of, selector_of


class TeacherOutputs:
    """A frozen teacher's outputs: cached encodings, from which its head computes the logits.

    Encodings are in half precision. Those that are not cached are computed at every step and
    rounded in the same way, so the size of the cache does not change the results.

    view: the frames that must still be read at every step, of the videos that are not cached;
        None if all are cached.
    """

    view: Reads | None

    def __init__(self, teacher: Model, view: Reads, cached: CachedOutputs) -> None:
        self._teacher = teacher
        self._cached = cached
        self.view = None if cached.all() else UncachedVideos(view, cached)

    def output(self, videos: Tensor, clips: Clips | None, device: torch.device) -> Output:
        """Returns the teacher's output for the videos (B,).

        clips: the frames that `view` read of those videos that are not cached.
        """
        is_cached = self._cached.has(videos)
        cached = self._cached.rows(videos[is_cached], pinned=device.type == "cuda")
        summary = cached.to(device, non_blocking=True)
        with torch.no_grad():
            if clips is not None and len(clips.lengths):
                computed = _encoded(self._teacher, clips, device)
                # Cached rows first, then computed ones: put each back in its place in the batch.
                places = torch.cat([is_cached.nonzero(), (~is_cached).nonzero()])[:, 0]
                rows = torch.cat([summary, computed])
                summary = torch.empty_like(rows)
                summary.index_copy_(0, places.to(device, non_blocking=True), rows)
            return self._teacher.output_of(summary.float())


@dataclass(frozen=True)
class UncachedVideos:
    """A view of the videos of a batch whose encoding is not cached."""

    view: Reads
    cached: CachedOutputs

    def chosen(self, videos: Videos, which: Tensor, epoch: int, rows: slice | Tensor) -> Chosen:
        """Chooses frames of those videos in some rows of `which` (B,) that are not cached."""
        own = which[rows]
        uncached = own[~self.cached.has(own)]
        if not len(uncached):
            return Chosen(uncached, uncached.new_empty(0, 0), 0)
        return self.view.chosen(videos, uncached, epoch, slice(None))


def teacher_outputs(
    experiment: Experiment,
    network: str,
    view_spec: ViewSpec | None,
    store: OutputCache,
    observer: Observer,
) -> TeacherOutputs:
    """Encodes every training video once, with the teacher's frames of evaluation.

    Encodings that are in the cache already are not computed. Videos that do not fit into the
    cache's budget, or on the disk, are encoded at every step; the observer receives a message.
    """
    teacher = experiment.models[network]
    view = experiment.view(network, view_spec)
    train = experiment.splits.train
    with evaluating(teacher):
        width = _encoding_width(experiment, teacher, view)
    key = cache_key(experiment, network, view_spec)
    entry = store.entry(key, len(train), width, observer)
    if entry.fitting < len(train):
        observer.message(
            f"the cache budget holds the {network}'s outputs for {entry.fitting} of "
            f"{len(train)} training videos; the rest are computed at every step"
        )
    with evaluating(teacher):
        shards = _cached_shards(experiment, network, view, entry, observer)
    return TeacherOutputs(teacher, view, CachedOutputs(shards, len(train), width, store.shard))


def cache_key(
    experiment: Experiment, network: str, view_spec: ViewSpec | None = None
) -> dict[str, Any]:
    """Lists everything that a teacher's encodings depend on, to the last bit."""
    spec = experiment.spec
    train = experiment.splits.train
    view = spec.view(network, view_spec)
    selector = selector_of(spec, view.selector, training=False)
    slots = view.k or longest_of(experiment.splits)
    return {
        "interface": INTERFACE_VERSION,
        "torch": torch.__version__,
        "device": experiment.device.type,
        # Kernels may sum in another order with another number of threads or rows.
        "threads": spec.training.all_threads,
        "precision": experiment.precision,
        "batch_size": spec.training.batch_size,
        "data": [spec.data.name, train.fingerprint, train.codec.describe()],
        "view": [without_releases(selector.describe()), slots, spec.seed],
        "encoder": without_releases(spec.encoder(network).describe()),
        # Of the encoder alone: the logits are not cached, so the head may change.
        "weights": weights_digest(experiment.models[network].encoder),
    }


def weights_digest(module: nn.Module) -> str:
    """Hashes a module's state: names, types, shapes and bytes, as 32 hexadecimal digits."""
    hashed = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(module.state_dict().items()):
        hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        # As bytes: numpy has no bfloat16.
        hashed.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return hashed.hexdigest()


def _encoding_width(experiment: Experiment, teacher: Model, view: Reads) -> int:
    """Finds the width of the teacher's encodings by encoding the first training video."""
    train = experiment.splits.train
    first_video = torch.zeros(1, dtype=torch.int64)
    with torch.no_grad():
        chosen = view.chosen(train, first_video, 0, slice(None))
        clips = clips_at(train, chosen.videos, chosen.index, chosen.slots)
        return _encoded(teacher, clips, experiment.device).shape[1]


def _cached_shards(
    experiment: Experiment, network: str, view: Reads, entry: CacheEntry, observer: Observer
) -> dict[int, Tensor]:
    """Returns the cached encodings by file number; computes missing ones while the disk has room.

    Several processes share the videos of a file. The main process writes it.
    """
    ranges = list(entry)
    shards = {number: entry.find(videos) for number, videos in enumerate(ranges)}
    # One process decides: all must compute the same videos, and another run may add a file now.
    missing = experiment.processes.broadcast(
        lambda: [number for number, shard in shards.items() if shard is None]
    )
    if missing:
        count = sum(len(ranges[number]) for number in missing)
        observer.message(f"computing the {network}'s outputs once for {count} training videos")
    for number in missing:
        encodings = _encode(experiment, network, view, ranges[number])
        error = experiment.processes.broadcast(
            partial(_write_error, entry, ranges[number], encodings)
        )
        if error:
            # A full disk must not end the run: the much smaller result may still fit.
            observer.message(
                f"{error}; the {network}'s outputs that are not cached are computed at every step"
            )
            break
        shards[number] = entry.find(ranges[number])
    return {number: shard for number, shard in shards.items() if shard is not None}


def _write_error(entry: CacheEntry, videos: range, encodings: Tensor) -> str | None:
    """Writes a file of the cache; returns the error if that fails."""
    try:
        entry.keep(videos, encodings)
    except ResultError as error:
        return str(error)
    return None


def _encode(experiment: Experiment, network: str, view: Reads, videos: range) -> Tensor:
    """Encodes some training videos, each process a share: all rows (V, E), in half precision.

    Raises `TrainingError` if an encoding is not finite.
    """
    teacher = experiment.models[network]
    batch_size = experiment.spec.training.batch_size
    # In whole batches: the bits of an encoding may depend on the size of its batch.
    share = experiment.processes.share(len(videos), batch_size)
    order = torch.arange(videos.start, videos.stop)[share.computed]
    own = []
    with torch.no_grad():
        source = batches(
            experiment.splits.train, order, batch_size, {"": view}, device=experiment.device
        )
        for batch in source:
            own.append(_encoded(teacher, batch.clips[""], experiment.device).cpu())
    encodings = experiment.processes.gather(torch.cat(own), share)
    if not bool(torch.isfinite(encodings).all()):
        raise TrainingError(
            f"the {network}'s encoding of a training video is not finite in half precision"
        )
    return encodings


def _encoded(teacher: Model, clips: Clips, device: torch.device) -> Tensor:
    """Returns the teacher's encodings (B, E) of clips, rounded to half precision."""
    summary: Tensor = teacher(clips.to(device)).encoding.summary
    return summary.half()
