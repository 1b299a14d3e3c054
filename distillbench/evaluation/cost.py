"""What one video costs a network.

Multiply-accumulates, frames and bytes read, parameters, memory.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from distillbench.data.batches import Measured, clips_at
from distillbench.evaluation.exits import ExitShare
from distillbench.evaluation.quantization import weight_bytes
from distillbench.interfaces import ClipGenerator, Clips, Videos
from distillbench.networks import Model, columns_of, encoded_up_to, evaluating


@dataclass(frozen=True)
class Cost:
    """The cost of one video of `frames` frames, the most that a video of the split is shown by.

    selector_macs, encoder_macs, head_macs: multiply-accumulates of matrix products and
    convolutions; None where they cannot be counted, for the reason in `uncounted`.
    published_macs: by the encoder's own paper's convention, or None.
    parameters: of encoder and head.
    peak_memory: bytes of weights and of the most activations alive at once, for `memory_batch`
    videos.
    """

    frames: int
    selector_macs: int
    encoder_macs: int | None
    head_macs: int | None
    published_macs: int | None
    parameters: int
    peak_memory: int
    memory_batch: int
    uncounted: str = ""

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of the whole network."""
        if self.encoder_macs is None or self.head_macs is None:
            return None
        return self.selector_macs + self.encoder_macs + self.head_macs


def cost_of(
    model: Model,
    videos: Videos,
    view: Measured,
    device: torch.device,
    memory_batch: int = 256,
    exits: Sequence[ExitShare] = (),
) -> Cost:
    """Counts what the network costs on the video of a split that it is shown most of.

    exits: where videos stopped; their costs are averaged.
    """
    which = torch.arange(len(videos))[videos.lengths.argmax()][None]
    with FlopCounterMode(display=False) as counter:
        index = view.index(videos, which, 0)
    shown = int((index >= 0).sum())
    choosing, why = _macs_of_selector(model, videos, shown, view.slots)
    frames = shown
    if model.selector is not None:
        clips = clips_at(videos, which, index, view.slots).to(device)
        with evaluating(model), torch.no_grad():
            selection = model.select(clips)
        frames = shown if selection is None else int((selection.index >= 0).sum())
    encoder, head, uncounted = count_macs(model, videos.width, frames, view.slots, exits)
    why = why or uncounted
    encoder = None if choosing is None else encoder
    published = getattr(model.encoder, "published_macs", None)
    visual = next(iter(videos.features.values()))
    return Cost(
        frames=frames,
        selector_macs=counter.get_total_flops() // 2 + (choosing or 0),
        encoder_macs=encoder,
        head_macs=head,
        published_macs=None if published is None else int(published(frames, visual)),
        parameters=sum(p.numel() for p in model.parameters()),
        peak_memory=peak_memory(model, videos, view, device, min(memory_batch, len(videos))),
        memory_batch=min(memory_batch, len(videos)),
        uncounted=why,
    )


def count_macs(
    model: Model, width: int, frames: int, slots: int, exits: Sequence[ExitShare] = ()
) -> tuple[int | None, int | None, str]:
    """Counts (encoder, head) where the counter is exact.

    On the CPU it sees nothing of a fused LSTM.

    exits: where videos stop; the mean over them, the head being computed at every exit on the way.
    """
    encoder, head = (copy.deepcopy(part).to("meta").eval() for part in (model.encoder, model.head))
    clips = _on_meta(frames, width, slots)
    stopping = exits or [ExitShare(0, frames, 1.0)]
    of_encoder = of_head = 0.0
    try:
        for stop in stopping:
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                stops = stop.frames < frames
                encoding = encoded_up_to(encoder, clips, stop.frames) if stops else encoder(clips)
            of_encoder += stop.share * (counter.get_total_flops() // 2)
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                head(encoding.summary)
            of_head += stop.share * (stop.number + 1) * (counter.get_total_flops() // 2)
    except (RuntimeError, NotImplementedError) as error:
        return None, None, _uncountable(error)
    return round(of_encoder), round(of_head), ""


def _macs_of_selector(
    model: Model, videos: Videos, frames: int, slots: int
) -> tuple[int | None, str]:
    """Counts what a learned selector computes to choose among so many frames.

    0 where there is none.
    """
    if model.selector is None:
        return 0, ""
    columns = columns_of(videos.features, model.selector.reads)
    width = videos.width if columns is None else len(columns)
    selector = copy.deepcopy(model.selector).to("meta").eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            selector(_on_meta(frames, width, slots), ClipGenerator(torch.zeros(1)))
    except (RuntimeError, NotImplementedError) as error:
        return None, _uncountable(error)
    return counter.get_total_flops() // 2, ""


def _on_meta(frames: int, width: int, slots: int) -> Clips:
    shown = torch.empty(1, frames, width, device="meta")
    return Clips(shown, torch.tensor([frames]), torch.arange(frames)[None], slots)


def _uncountable(error: Exception) -> str:
    return f"not countable on the meta device: {str(error).partition(chr(10))[0]}"


def peak_memory(
    model: Model, videos: Videos, view: Measured, device: torch.device, batch: int
) -> int:
    """Measures bytes of weights plus the most bytes of tensors alive in a forward pass."""
    which = torch.arange(batch)
    clips = clips_at(videos, which, view.index(videos, which, 0), view.slots)
    weights = weight_bytes(model)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = int(torch.cuda.memory_allocated(device))
        with evaluating(model), torch.inference_mode():
            model(clips.to(device))
        most = int(torch.cuda.max_memory_allocated(device))
        return weights + most - before
    alive = _AliveTensors()
    with evaluating(model), torch.no_grad(), alive:
        model(clips)
    return weights + alive.most


class _AliveTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the bytes of every storage, and the most that were alive at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        known = {
            t.untyped_storage().data_ptr()
            for t in tree_leaves((args, kwargs))
            if isinstance(t, torch.Tensor)
        }
        for tensor in tree_leaves(made):
            if (
                isinstance(tensor, torch.Tensor)
                and tensor.untyped_storage().data_ptr() not in known
            ):
                self._follow(tensor.untyped_storage())
        return made

    def _follow(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.now -= size
