"""What one video costs a network: multiply-accumulates, frames and bytes read, parameters, memory."""

from __future__ import annotations

import copy
import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from distillbench.data.batches import View, clips_at
from distillbench.evaluation.quantization import weight_bytes
from distillbench.interfaces import Clips, Videos
from distillbench.networks import Model


@dataclass(frozen=True)
class Cost:
    """The cost of one video of `frames` frames, the most that a video of the split is shown by.

    selector_macs, encoder_macs, head_macs: multiply-accumulates of matrix products and convolutions; None where they
    cannot be counted, and `uncounted` says why. published_macs: by the encoder's own paper's convention, or None.
    parameters: of encoder and head. peak_memory: bytes of weights and of the most activations alive at once, for
    `memory_batch` videos.
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


def cost_of(model: Model, videos: Videos, view: View, device: torch.device, memory_batch: int = 256) -> Cost:
    """Counts what the network costs on the video of a split that it is shown most of."""
    which = torch.arange(len(videos))[videos.lengths.argmax()][None]
    with FlopCounterMode(display=False) as counter:
        index = view.index(videos, which, 0)
    frames = int((index >= 0).sum())
    encoder, head, why = count_macs(model, videos.width, frames, view.slots)
    published = getattr(model.encoder, "published_macs", None)
    visual = next(iter(videos.features.values()))
    return Cost(
        frames=frames,
        selector_macs=counter.get_total_flops() // 2,
        encoder_macs=encoder,
        head_macs=head,
        published_macs=None if published is None else int(published(frames, visual)),
        parameters=sum(p.numel() for p in model.parameters()),
        peak_memory=peak_memory(model, videos, view, device, min(memory_batch, len(videos))),
        memory_batch=min(memory_batch, len(videos)),
        uncounted=why,
    )


def count_macs(model: Model, width: int, frames: int, slots: int) -> tuple[int | None, int | None, str]:
    """Counts (encoder, head) where the counter is exact: on the CPU it sees nothing of a fused LSTM."""
    encoder, head = (copy.deepcopy(part).to("meta").eval() for part in (model.encoder, model.head))
    clips = Clips(
        torch.empty(1, frames, width, device="meta"), torch.tensor([frames]), torch.arange(frames)[None], slots
    )
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            summary = encoder(clips).summary
        encoder_macs = counter.get_total_flops() // 2
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            head(summary)
    except (RuntimeError, NotImplementedError) as error:
        return None, None, f"not countable on the meta device: {str(error).partition(chr(10))[0]}"
    return encoder_macs, counter.get_total_flops() // 2, ""


def peak_memory(model: Model, videos: Videos, view: View, device: torch.device, batch: int) -> int:
    """Measures bytes of weights plus the most bytes of tensors alive at once while a batch is classified."""
    which = torch.arange(batch)
    clips = clips_at(videos, which, view.index(videos, which, 0), view.slots)
    model.eval()
    weights = weight_bytes(model)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = int(torch.cuda.memory_allocated(device))
        with torch.inference_mode():
            model(clips.to(device))
        most = int(torch.cuda.max_memory_allocated(device))
        return weights + most - before
    alive = _AliveTensors()
    with torch.no_grad(), alive:
        model(clips)
    return weights + alive.most


class _AliveTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the bytes of every storage that operations make, and the most that were alive at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        known = {t.untyped_storage().data_ptr() for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().data_ptr() not in known:
                self._follow(tensor.untyped_storage())
        return made

    def _follow(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.now -= size
