"""What a teacher that stands still says of each training video: asked once and kept, or asked again where it is not."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distillbench.data.batches import Chosen, Reads, batches, clips_at
from distillbench.errors import ResultError, TrainingError
from distillbench.interfaces import INTERFACE_VERSION, Clips, Output, Videos, ViewSpec
from distillbench.networks import Model, evaluating
from distillbench.processes import SOLO, Share
from distillbench.setup import without_releases
from distillbench.training.assemble import Parts
from distillbench.training.observer import Observer
from distillbench.training.signal_store import Kept, Shelf, SignalStore
from distillbench.training.views import longest_of, selector_of


class Signals:
    """A guide's encoding of every training video in half precision; logits are computed again through its head.

    view: what must be read of the guide's own frames at every step, those of the videos whose encoding is not kept;
    None where all are. Its encoding is then rounded as a kept one is, so what is kept never changes the outcome.
    """

    view: Reads | None

    def __init__(self, guide: Model, view: Reads, kept: Kept) -> None:
        self._guide, self._kept = guide, kept
        self.view = None if kept.all() else Unkept(view, kept)

    def output(self, videos: Tensor, clips: Clips | None, device: torch.device) -> Output:
        """Returns the guide's output for the videos (B,); clips: what `view` read of them."""
        held = self._kept.has(videos)
        summary = self._kept.rows(videos[held]).to(device, non_blocking=True)
        with torch.no_grad():
            if clips is not None and len(clips.lengths):
                asked = _encoded(self._guide, clips, device)
                places = torch.cat([held.nonzero(), (~held).nonzero()])[:, 0]
                joined = torch.cat([summary, asked])
                summary = torch.empty_like(joined).index_copy_(0, places.to(device, non_blocking=True), joined)
            return self._guide.output_of(summary.float())


@dataclass(frozen=True)
class Unkept:
    """What a guide must still be shown: of a batch, only the videos whose encoding is not kept."""

    view: Reads
    kept: Kept

    def chosen(self, videos: Videos, which: Tensor, epoch: int, share: Share) -> Chosen:
        """Chooses those of a share of the videos `which` (B,) that are not kept, and their frames."""
        own = which[share.computed]
        unkept = own[~self.kept.has(own)]
        if not len(unkept):
            return Chosen(unkept, unkept.new_empty(0, 0), 0)
        return self.view.chosen(videos, unkept, epoch, SOLO.share(len(unkept)))


def ask(parts: Parts, network: str, view_spec: ViewSpec | None, store: SignalStore, observer: Observer) -> Signals:
    """Shows a guide every training video once, as it is seen in evaluation, unless its encoding is kept already.

    What the budget does not cover, or the disk has no room for, is asked at every step; the observer is told.
    """
    guide, view, train = parts.models[network], parts.view(network, view_spec), parts.splits.train
    with evaluating(guide), torch.no_grad():
        first = view.chosen(train, torch.zeros(1, dtype=torch.int64), 0, SOLO.share(1))
        width = _encoded(guide, clips_at(train, first.videos, first.index, first.slots), parts.device).shape[1]
    shelf = store.shelf(question(parts, network, view_spec), len(train), width, observer)
    if shelf.fitting < len(train):
        observer.said(
            f"the signals' budget keeps what the {network} says of {shelf.fitting} of {len(train)} training videos; "
            "it is asked about the others at every step"
        )
    with evaluating(guide):
        collected = _collected(parts, network, view, shelf, observer)
    return Signals(guide, view, Kept(collected, len(train), width, store.shard))


def question(parts: Parts, network: str, view_spec: ViewSpec | None = None) -> dict[str, Any]:
    """Describes everything that a guide's encodings depend on, to the last bit."""
    setup, train = parts.setup, parts.splits.train
    view = setup.view(network, view_spec)
    selector = selector_of(setup, view.selector, training=False)
    slots = view.k or longest_of(parts.splits)
    return {
        "interface": INTERFACE_VERSION,
        "torch": torch.__version__,
        "device": parts.device.type,
        "threads": setup.training.all_threads,
        "precision": parts.precision,
        "batch_size": setup.training.batch_size,
        "data": [setup.data.name, train.fingerprint, dataclasses.asdict(train.codec)],
        "view": [without_releases(selector.describe()), slots, setup.seed],
        "encoder": without_releases(setup.encoder(network).describe()),
        "weights": digest_of(parts.models[network].encoder),
    }


def digest_of(module: nn.Module) -> str:
    """Hashes a module's state to thirty-two hexadecimal digits: names, types, shapes and every byte."""
    hashed = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(module.state_dict().items()):
        hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        hashed.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return hashed.hexdigest()


def _collected(parts: Parts, network: str, view: Reads, shelf: Shelf, observer: Observer) -> dict[int, Tensor]:
    """Returns the shards that are kept, by number; makes those that are not there while the disk has room.

    Several processes share the videos of a shard out, and one of them writes it.
    """
    found = {number: shelf.find(videos) for number, videos in enumerate(shelf)}
    missing = parts.processes.decide(lambda: [number for number, shard in found.items() if shard is None])
    ranges = list(shelf)
    if missing:
        count = sum(len(ranges[number]) for number in missing)
        observer.said(f"asking the {network} once about {count} training videos")
    for number in missing:
        encodings = _encodings(parts, network, view, ranges[number])
        refused = parts.processes.decide(lambda n=number, e=encodings: _refusal(shelf, ranges[n], e))  # type: ignore[misc]
        if refused:  # a full disk must not end a run that may still find room for its result
            observer.said(f"{refused}; the {network} is asked at every step about the videos that are not kept")
            break
        found[number] = shelf.find(ranges[number])
    return {number: shard for number, shard in found.items() if shard is not None}


def _refusal(shelf: Shelf, videos: range, encodings: Tensor) -> str | None:
    try:
        shelf.keep(videos, encodings)
    except ResultError as error:
        return str(error)
    return None


def _encodings(parts: Parts, network: str, view: Reads, videos: range) -> Tensor:
    """Shows a guide some videos, each process its share of them; returns what it says of all, (V, E) in half precision."""
    guide, size = parts.models[network], parts.setup.training.batch_size
    share = parts.processes.share(len(videos), size)
    order = torch.arange(videos.start, videos.stop)[share.computed]
    with torch.no_grad():
        read = batches(parts.splits.train, order, size, {"": view}, device=parts.device)
        own = torch.cat([_encoded(guide, batch.clips[""], parts.device).cpu() for batch in read])
    whole = parts.processes.gather(own, share)
    if not bool(torch.isfinite(whole).all()):
        raise TrainingError(f"the {network}'s encoding of a training video is no finite number in half precision")
    return whole


def _encoded(guide: Model, clips: Clips, device: torch.device) -> Tensor:
    """Returns a guide's encodings (B, E) of what it is shown, rounded to half precision."""
    summary: Tensor = guide(clips.to(device)).encoding.summary
    return summary.half()
