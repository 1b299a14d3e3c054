"""A network is an encoder and a head; here is how it runs, in which precision and how wide it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from distillbench.interfaces import (
    ClipGenerator,
    Clips,
    Codec,
    EarlyExit,
    Encoder,
    Encoding,
    ExitPolicy,
    Head,
    LearnedSelector,
    Output,
    Selection,
    Shapes,
    States,
)

Precision = Literal["fp32", "bf16"]


class Model(nn.Module):
    """One network of a run. Weights are fp32; `precision` is what the products are computed in.

    selector: the part that chooses frames, where one is learned; the network is then shown its
    candidates. features: the width of each feature, in the order in which they are joined.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: Head,
        codec: Codec,
        precision: Precision = "fp32",
        selector: LearnedSelector | None = None,
        features: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.codec, self.precision = encoder, head, codec, precision
        self.selector, self.features = selector, dict(features or {})
        self.exit_policy: ExitPolicy | None = None

    def forward(self, clips: Clips, *, with_states: bool = False) -> Output:
        """Decodes stored clips, on the device they are on, encodes them and computes their logits.

        In evaluation a network with an exit policy stops where the policy says, each video for itself.
        """
        selection = self.select(clips)
        decoded = self.decoded(clips, selection)
        if self.exit_policy is not None and not self.training:
            return replace(self._until_stopped(decoded, self.exit_policy), selection=selection)
        with self.autocast(decoded.frames.device):
            encoding = self.encoder(decoded, with_states=with_states)
            logits = self.head(encoding.summary)
            exits = [self.head(summary) for summary in encoding.exits]
        return Output(
            _in_float(encoding),
            logits.float(),
            exits=tuple(exit_logits.float() for exit_logits in exits),
            selection=selection,
        )

    def select(self, clips: Clips) -> Selection | None:
        """Lets the learned selector choose among its candidates, of which it is shown what it reads."""
        if self.selector is None:
            return None
        columns = columns_of(self.features, self.selector.reads)
        shown = clips if columns is None else replace(clips, frames=clips.frames[:, :, columns])
        candidates = self.codec.decode(shown)
        with self.autocast(candidates.frames.device):
            selection: Selection = self.selector(candidates, ClipGenerator(_keys(clips)))
        on_meta = selection.index.device.type == "meta"
        return selection if on_meta else replace(selection, index=selection.index.cpu())

    def decoded(self, clips: Clips, selection: Selection | None) -> Clips:
        """Decodes what the encoder sees: all that is shown, or what was selected, weighted."""
        if selection is None:
            return self.codec.decode(clips)
        kept = self.codec.decode(clips.take(selection.index))
        if selection.weights is None:
            return kept
        return replace(
            kept, frames=kept.frames * selection.weights[:, :, None].to(kept.frames.dtype)
        )

    def exits(self, frames: int) -> list[int]:
        """Lists after how many of so many frames the network may stop; the last are all of them."""
        early = self.encoder.exits if isinstance(self.encoder, EarlyExit) else ()
        return [*(number for number in early if number < frames), frames]

    def up_to(self, decoded: Clips, frames: int) -> tuple[Encoding, Tensor]:
        """Encodes decoded clips up to an exit, or to the end: the encoding and its logits (B, C)."""
        with self.autocast(decoded.frames.device):
            stops = frames < decoded.frames.shape[1]
            encoding = (
                encoded_up_to(self.encoder, decoded, frames) if stops else self.encoder(decoded)
            )
            logits = self.head(encoding.summary)
        return _in_float(encoding), logits.float()

    def straight_to(self, clips: Clips, frames: int, heads: int) -> Tensor:
        """Computes the logits (B, C) at an exit as a network does that goes on from exit to exit.

        The encoder runs once up to the exit, the head at each of `heads` exits.
        """
        decoded = self.decoded(clips, self.select(clips))
        encoding, logits = self.up_to(decoded, frames)
        for _ in range(heads - 1):
            with self.autocast(logits.device):
                self.head(encoding.summary)
        return logits

    def _until_stopped(self, decoded: Clips, policy: ExitPolicy) -> Output:
        """Goes from exit to exit until every video has stopped."""
        going = torch.ones(len(decoded.lengths), dtype=torch.bool)
        used = decoded.lengths.clone()
        so_far: list[Tensor] = []
        summary = logits = torch.empty(0)
        stops = self.exits(decoded.frames.shape[1])
        for number, frames in enumerate(stops):
            encoding, found = self.up_to(decoded, frames)
            so_far.append(found)
            if not number:
                summary, logits = torch.empty_like(encoding.summary), torch.empty_like(found)
            last = number == len(stops) - 1
            ended = decoded.lengths <= frames  # there is nothing more to look at
            stopping = going if last else going & (policy.stop(so_far).cpu() | ended)
            here = stopping.to(found.device)
            summary = torch.where(here[:, None], encoding.summary, summary)
            logits = torch.where(here[:, None], found, logits)
            used = torch.where(stopping, decoded.lengths.clamp_max(frames), used)
            going = going & ~stopping
            if not bool(going.any()):
                break
        return Output(Encoding(summary), logits, used=used)

    def output_of(self, summary: Tensor) -> Output:
        """Computes the logits of encodings (B, E) that were kept."""
        with self.autocast(summary.device):
            logits = self.head(summary)
        return Output(Encoding(summary.float()), logits.float())

    def autocast(self, device: torch.device) -> torch.autocast:
        """Computes products in the network's precision."""
        kind = "cpu" if device.type == "meta" else device.type
        return torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bf16")


def _keys(clips: Clips) -> Tensor:
    return torch.zeros(len(clips.lengths), dtype=torch.int64) if clips.keys is None else clips.keys


def encoded_up_to(encoder: nn.Module, clips: Clips, frames: int) -> Encoding:
    """Encodes decoded clips up to an exit, where the encoder has exits; else to the end."""
    encoding: Encoding = (
        encoder.up_to(clips, frames) if isinstance(encoder, EarlyExit) else encoder(clips)
    )
    return encoding


def _in_float(encoding: Encoding) -> Encoding:
    states = {n: States(s.values.float(), s.times) for n, s in encoding.states.items()}
    exits = tuple(summary.float() for summary in encoding.exits)
    return Encoding(encoding.summary.float(), states, exits)


def columns_of(features: Mapping[str, int], names: Sequence[str]) -> Tensor | None:
    """Returns the columns (D',) of a frame that hold the features of these names; None for all."""
    if not names:
        return None
    found, first = [], 0
    for name, width in features.items():
        found += list(range(first, first + width)) if name in names else []
        first += width
    return torch.tensor(found, dtype=torch.int64)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts a network into evaluation mode, and every module of it back into the mode it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def probe(encoder: Encoder, width: int, classes: int) -> Shapes:
    """Finds out how wide an encoder's summary and states are by encoding two short clips of zeros."""
    frames = torch.zeros(2, 4, width)
    times = torch.arange(4).expand(2, -1)
    with evaluating(encoder), torch.no_grad():
        encoding = encoder(Clips(frames, torch.tensor([4, 4]), times, 4), with_states=True)
    states = {name: found.values.shape[2] for name, found in encoding.states.items()}
    return Shapes(encoding.summary.shape[1], states, classes)


def precision_on(device: torch.device, asked: str) -> Precision:
    """Turns `auto` into a precision by rule: fp32 on a CPU, bf16 on a GPU that multiplies it in hardware.

    A choice that shapes a number is never made by a clock: the same question on the same kind of device is always
    computed alike, and the result records in which precision.
    """
    if asked != "auto":
        return "bf16" if asked == "bf16" else "fp32"
    return "bf16" if device.type == "cuda" and has_bf16(device) else "fp32"


def has_bf16(device: torch.device) -> bool:
    """Tells whether the device multiplies bf16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
