"""What a teacher that stands still says of each training video: asked once and kept, or asked again where it is not."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from distillbench.config.run_spec import without_releases
from distillbench.data.batches import Chosen, Reads, batches, clips_at
from distillbench.distributed.processes import SINGLE, Share
from distillbench.errors import ResultError, TrainingError
from distillbench.interfaces import INTERFACE_VERSION, Clips, Output, Videos, ViewSpec
from distillbench.networks import Model, evaluating
from distillbench.training.build import Experiment
from distillbench.training.callbacks import Observer
from distillbench.training.output_cache import CachedOutputs, CacheEntry, OutputCache
from distillbench.training.views import longest_of, selector_of


class TeacherOutputs:
    """A guide's encoding of every training video in half precision; logits are computed again through its head.

    view: what must be read of the guide's own frames at every step, those of the videos whose encoding is not kept;
    None where all are. Its encoding is then rounded as a kept one is, so what is kept never changes the outcome.
    """

    view: Reads | None

    def __init__(self, teacher: Model, view: Reads, kept: CachedOutputs) -> None:
        self._guide, self._kept = teacher, kept
        self.view = None if kept.all() else UncachedVideos(view, kept)

    def output(self, videos: Tensor, clips: Clips | None, device: torch.device) -> Output:
        """Returns the guide's output for the videos (B,); clips: what `view` read of them."""
        held = self._kept.has(videos)
        summary = self._kept.rows(videos[held]).to(device, non_blocking=True)
        with torch.no_grad():
            if clips is not None and len(clips.lengths):
                asked = _encoded(self._guide, clips, device)
                places = torch.cat([held.nonzero(), (~held).nonzero()])[:, 0]
                joined = torch.cat([summary, asked])
                summary = torch.empty_like(joined).index_copy_(
                    0, places.to(device, non_blocking=True), joined
                )
            return self._guide.output_of(summary.float())


@dataclass(frozen=True)
class UncachedVideos:
    """What a guide must still be shown: of a batch, only the videos whose encoding is not kept."""

    view: Reads
    kept: CachedOutputs

    def chosen(self, videos: Videos, which: Tensor, epoch: int, share: Share) -> Chosen:
        """Chooses those of a share of the videos `which` (B,) that are not kept, and their frames."""
        own = which[share.computed]
        uncached = own[~self.kept.has(own)]
        if not len(uncached):
            return Chosen(uncached, uncached.new_empty(0, 0), 0)
        return self.view.chosen(videos, uncached, epoch, SINGLE.share(len(uncached)))


def teacher_outputs(
    experiment: Experiment,
    network: str,
    view_spec: ViewSpec | None,
    store: OutputCache,
    observer: Observer,
) -> TeacherOutputs:
    """Shows a guide every training video once, as it is seen in evaluation, unless its encoding is kept already.

    What the budget does not cover, or the disk has no room for, is asked at every step; the observer is told.
    """
    teacher, view, train = (
        experiment.models[network],
        experiment.view(network, view_spec),
        experiment.splits.train,
    )
    with evaluating(teacher), torch.no_grad():
        first = view.chosen(train, torch.zeros(1, dtype=torch.int64), 0, SINGLE.share(1))
        width = _encoded(
            teacher, clips_at(train, first.videos, first.index, first.slots), experiment.device
        ).shape[1]
    entry = store.entry(cache_key(experiment, network, view_spec), len(train), width, observer)
    if entry.fitting < len(train):
        observer.message(
            f"the signals' budget keeps what the {network} says of {entry.fitting} of {len(train)} training videos; "
            "it is asked about the others at every step"
        )
    with evaluating(teacher):
        collected = _collected(experiment, network, view, entry, observer)
    return TeacherOutputs(teacher, view, CachedOutputs(collected, len(train), width, store.shard))


def cache_key(
    experiment: Experiment, network: str, view_spec: ViewSpec | None = None
) -> dict[str, Any]:
    """Describes everything that a guide's encodings depend on, to the last bit."""
    spec, train = experiment.spec, experiment.splits.train
    view = spec.view(network, view_spec)
    selector = selector_of(spec, view.selector, training=False)
    slots = view.k or longest_of(experiment.splits)
    return {
        "interface": INTERFACE_VERSION,
        "torch": torch.__version__,
        "device": experiment.device.type,
        "threads": spec.training.all_threads,
        "precision": experiment.precision,
        "batch_size": spec.training.batch_size,
        "data": [spec.data.name, train.fingerprint, dataclasses.asdict(train.codec)],
        "view": [without_releases(selector.describe()), slots, spec.seed],
        "encoder": without_releases(spec.encoder(network).describe()),
        "weights": weights_digest(experiment.models[network].encoder),
    }


def weights_digest(module: nn.Module) -> str:
    """Hashes a module's state to thirty-two hexadecimal digits: names, types, shapes and every byte."""
    hashed = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(module.state_dict().items()):
        hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        hashed.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return hashed.hexdigest()


def _collected(
    experiment: Experiment, network: str, view: Reads, entry: CacheEntry, observer: Observer
) -> dict[int, Tensor]:
    """Returns the shards that are kept, by number; makes those that are not there while the disk has room.

    Several processes share the videos of a shard out, and one of them writes it.
    """
    found = {number: entry.find(videos) for number, videos in enumerate(entry)}
    missing = experiment.processes.broadcast(
        lambda: [number for number, shard in found.items() if shard is None]
    )
    ranges = list(entry)
    if missing:
        count = sum(len(ranges[number]) for number in missing)
        observer.message(f"asking the {network} once about {count} training videos")
    for number in missing:
        encodings = _encodings(experiment, network, view, ranges[number])
        refuse = partial(_refusal, entry, ranges[number], encodings)
        refused = experiment.processes.broadcast(refuse)
        if refused:  # a full disk must not end a run that may still find room for its result
            observer.message(
                f"{refused}; the {network} is asked at every step about the videos that are not kept"
            )
            break
        found[number] = entry.find(ranges[number])
    return {number: shard for number, shard in found.items() if shard is not None}


def _refusal(entry: CacheEntry, videos: range, encodings: Tensor) -> str | None:
    try:
        entry.keep(videos, encodings)
    except ResultError as error:
        return str(error)
    return None


def _encodings(experiment: Experiment, network: str, view: Reads, videos: range) -> Tensor:
    """Shows a guide some videos, each process its share of them; returns what it says of all, (V, E) in half precision."""
    teacher, size = experiment.models[network], experiment.spec.training.batch_size
    share = experiment.processes.share(len(videos), size)
    order = torch.arange(videos.start, videos.stop)[share.computed]
    with torch.no_grad():
        read = batches(experiment.splits.train, order, size, {"": view}, device=experiment.device)
        own = torch.cat(
            [_encoded(teacher, batch.clips[""], experiment.device).cpu() for batch in read]
        )
    whole = experiment.processes.gather(own, share)
    if not bool(torch.isfinite(whole).all()):
        raise TrainingError(
            f"the {network}'s encoding of a training video is no finite number in half precision"
        )
    return whole


def _encoded(teacher: Model, clips: Clips, device: torch.device) -> Tensor:
    """Returns a guide's encodings (B, E) of what it is shown, rounded to half precision."""
    summary: Tensor = teacher(clips.to(device)).encoding.summary
    return summary.half()
