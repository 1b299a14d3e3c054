"""A network of a run: an encoder and a head, its precision and its widths."""

from __future__ import annotations

import copy
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
from distillbench.mixing import Mixing

Precision = Literal["fp32", "bf16"]

_FRAMES_AT_ONCE = 16


class Model(nn.Module):
    """A network: an encoder and a head, with its data's codec.

    Weights are fp32.

    precision: what matrix products are computed in.
    selector: the learned selector of frames; the network is then given its candidates.
    features: the width of each feature of a frame, in the order in which they are concatenated.
    exit_policy: decides in evaluation where the network stops; None runs it to the end.
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
        self.encoder = encoder
        self.head = head
        self.codec = codec
        self.precision = precision
        self.selector = selector
        self.features = dict(features or {})
        self.exit_policy: ExitPolicy | None = None

    def forward(
        self, clips: Clips, *, with_states: bool = False, mixing: Mixing | None = None
    ) -> Output:
        """Decodes stored clips on their device, encodes them and computes their logits.

        In evaluation a network with an exit policy stops at the policy's exit, for each video.

        mixing: mixes the first of the clips with their partners before they are encoded; the output
        is of those alone.
        """
        selection = self.select(clips)
        decoded = self.decoded(clips, selection)
        if mixing is not None:
            decoded = mixing.clips(decoded)
        if self.exit_policy is not None and not self.training:
            output = self._run_until_stopped(decoded, self.exit_policy)
            return replace(output, selection=selection)
        baseline = self._baseline(clips, selection)
        with self.autocast(decoded.frames.device):
            encoding = self.encoder(decoded, with_states=with_states)
            logits = self.head(encoding.summary)
            exits = [self.head(summary) for summary in encoding.exits]
        # Back to fp32 outside the network: losses in bf16 would lose small differences.
        return Output(
            _as_fp32(encoding),
            logits.float(),
            exits=tuple(exit_logits.float() for exit_logits in exits),
            selection=selection,
            baseline=baseline,
        )

    def _baseline(self, clips: Clips, selection: Selection | None) -> Tensor | None:
        """Classifies the baseline of a selection (B, C), in training alone."""
        if selection is None or selection.baseline is None or not self.training:
            return None
        chosen = self.codec.decode(clips.take(selection.baseline))
        with torch.no_grad(), evaluating(self), self.autocast(chosen.frames.device):
            logits: Tensor = self.head(self.encoder(chosen).summary)
        return logits.float()

    def frame_logits(self, clips: Clips) -> States:
        """Computes the logits (B, T, C) of each frame alone, in evaluation, without gradient.

        Padded frames have zeros.
        """
        found = []
        with torch.no_grad(), evaluating(self):
            # In groups, so that their states do not need the memory of a whole video's at once.
            for first in range(0, clips.times.shape[1], _FRAMES_AT_ONCE):
                group = slice(first, first + _FRAMES_AT_ONCE)
                frames, times = clips.frames[:, group], clips.times[:, group]
                alone = Clips(
                    frames.flatten(0, 1)[:, None],
                    torch.ones(times.numel(), dtype=torch.int64),
                    times.reshape(-1, 1),
                    1,
                )
                found.append(self(alone).logits.view(*times.shape, -1))
        real = clips.mask()[:, :, None]
        return States(torch.cat(found, 1).masked_fill(~real, 0.0), clips.times)

    def select(self, clips: Clips) -> Selection | None:
        """Runs the learned selector on the features of its candidates that it reads."""
        if self.selector is None:
            return None
        columns = columns_of(self.features, self.selector.reads)
        if columns is not None:
            read = replace(clips, frames=clips.frames[:, :, columns])
            candidates = self.codec.take(columns).decode(read)
        else:
            candidates = self.codec.decode(clips)
        with self.autocast(candidates.frames.device):
            selection: Selection = self.selector(candidates, ClipGenerator(_keys(clips)))
        # Lengths follow from the index, and are decided on the CPU. A meta tensor, with which the
        # cost is counted, cannot be moved there.
        if selection.index.device.type == "meta":
            return selection
        return replace(selection, index=selection.index.cpu(), times=clips.times)

    def decoded(self, clips: Clips, selection: Selection | None) -> Clips:
        """Decodes what the encoder sees: all frames, or the selected ones times their weights."""
        if selection is None:
            return self.codec.decode(clips)
        selected = self.codec.decode(clips.take(selection.index))
        if selection.weights is None:
            return selected
        weights = selection.weights[:, :, None].to(selected.frames.dtype)
        return replace(selected, frames=selected.frames * weights)

    def exits(self, frames: int) -> list[int]:
        """Lists after how many frames the network may stop; the last exit is after all of them."""
        early = self.encoder.exits if isinstance(self.encoder, EarlyExit) else ()
        return [*(exit_frames for exit_frames in early if exit_frames < frames), frames]

    def up_to(self, decoded: Clips, frames: int) -> tuple[Encoding, Tensor]:
        """Encodes decoded clips up to an exit, or to the end.

        Returns the encoding and its logits (B, C).
        """
        with self.autocast(decoded.frames.device):
            if frames < decoded.frames.shape[1]:
                encoding = encoded_up_to(self.encoder, decoded, frames)
            else:
                encoding = self.encoder(decoded)
            logits = self.head(encoding.summary)
        return _as_fp32(encoding), logits.float()

    def straight_to(self, clips: Clips, frames: int, heads: int) -> Tensor:
        """Computes the logits (B, C) at an exit at the cost of a run through all earlier exits.

        frames: the frames seen at the exit; the encoder runs over them once.
        heads: the number of exits so far; the head runs at each.
        """
        decoded = self.decoded(clips, self.select(clips))
        encoding, logits = self.up_to(decoded, frames)
        for _ in range(heads - 1):
            with self.autocast(logits.device):
                self.head(encoding.summary)
        return logits

    def _run_until_stopped(self, decoded: Clips, policy: ExitPolicy) -> Output:
        """Runs from exit to exit until every video has stopped."""
        *_, output = _until_none_runs(self.from_exit_to_exit(decoded, policy))
        return output

    def from_exit_to_exit(
        self, decoded: Clips, policy: ExitPolicy
    ) -> Iterator[tuple[Output, Tensor]]:
        """Runs decoded clips to one exit after another, the end being the last.

        Yields after each the output of those that have stopped, and which videos still run, (B,).
        """
        is_running = torch.ones_like(decoded.lengths, dtype=torch.bool)
        used = decoded.lengths.clone()
        logits_so_far: list[Tensor] = []
        exits = self.exits(decoded.frames.shape[1])
        for number, frames in enumerate(exits):
            encoding, exit_logits = self.up_to(decoded, frames)
            logits_so_far.append(exit_logits)
            if number == 0:
                summary, logits = encoding.summary, exit_logits
            if number == len(exits) - 1:
                stops = is_running
            else:
                # A video without further frames stops, whatever the policy says.
                has_ended = decoded.lengths <= frames
                stops = is_running & (policy.stop(logits_so_far).cpu() | has_ended)
            stops_here = stops.to(exit_logits.device)
            summary = torch.where(stops_here[:, None], encoding.summary, summary)
            logits = torch.where(stops_here[:, None], exit_logits, logits)
            used = torch.where(stops, decoded.lengths.clamp_max(frames), used)
            is_running = is_running & ~stops
            yield Output(Encoding(summary), logits, used=used), is_running

    def output_of(self, summary: Tensor) -> Output:
        """Computes the logits of cached encodings (B, E)."""
        with self.autocast(summary.device):
            logits = self.head(summary)
        return Output(Encoding(summary.float()), logits.float())

    def autocast(self, device: torch.device) -> torch.autocast:
        """Returns the context in which products are computed in the network's precision."""
        kind = "cpu" if device.type == "meta" else device.type  # autocast does not know "meta"
        return torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bf16")


def _until_none_runs(exits: Iterator[tuple[Output, Tensor]]) -> Iterator[Output]:
    """Yields what is known after each exit that some video gets to."""
    for output, is_running in exits:
        yield output
        if not bool(is_running.any()):
            return


def _keys(clips: Clips) -> Tensor:
    """Returns the keys of the clips' draws; zeros if there are none, as when a cost is counted."""
    return torch.zeros(len(clips.lengths), dtype=torch.int64) if clips.keys is None else clips.keys


def encoded_up_to(encoder: nn.Module, clips: Clips, frames: int) -> Encoding:
    """Encodes decoded clips up to an exit; to the end if the encoder has no exits."""
    encoding: Encoding = (
        encoder.up_to(clips, frames) if isinstance(encoder, EarlyExit) else encoder(clips)
    )
    return encoding


def _as_fp32(encoding: Encoding) -> Encoding:
    states = {
        layer: States(found.values.float(), found.times) for layer, found in encoding.states.items()
    }
    exits = tuple(summary.float() for summary in encoding.exits)
    return Encoding(encoding.summary.float(), states, exits)


def columns_of(features: Mapping[str, int], names: Sequence[str]) -> Tensor | None:
    """Returns the columns (D',) of a frame that hold the named features; None for all."""
    if not names:
        return None
    columns: list[int] = []
    first = 0
    for name, width in features.items():
        if name in names:
            columns += range(first, first + width)
        first += width
    return torch.tensor(columns, dtype=torch.int64)


def learns_from_frames(model: Model) -> bool:
    """Tells whether a learned selector gets a gradient through the frames' weights, or needs none.

    Found by letting it choose among frames of zeros.
    """
    selector = model.selector
    if selector is None or not any(weight.requires_grad for weight in selector.parameters()):
        return True
    columns = columns_of(model.features, selector.reads)
    width = sum(model.features.values()) if columns is None else len(columns)
    times = torch.arange(4).expand(2, -1)
    clips = Clips(torch.zeros(2, 4, width), torch.tensor([4, 4]), times, 4)
    with torch.random.fork_rng(devices=[]):
        selection = copy.deepcopy(selector).cpu().train()(clips, ClipGenerator(torch.zeros(2)))
    return selection.weights is not None and selection.weights.requires_grad


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Sets a network to evaluation mode, and afterwards each of its modules to its earlier mode."""
    # Of each module: a frozen head within a network that learns is in evaluation mode.
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


class Projected(Encoder):
    """An encoder, and a linear layer that maps its encodings to another width.

    States and times are the encoder's own.
    """

    def __init__(self, encoder: Encoder, width: int, wanted: int) -> None:
        """width: E of the encoder; wanted: E of the result."""
        super().__init__()
        self.encoder = encoder
        self.projection = nn.Linear(width, wanted)

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        """Encodes clips, and maps the encodings of the whole videos and of all exits."""
        return self._mapped(self.encoder(clips, with_states=with_states))

    def _mapped(self, encoding: Encoding) -> Encoding:
        exits = tuple(self.projection(summary) for summary in encoding.exits)
        return Encoding(self.projection(encoding.summary), encoding.states, exits)


class _ProjectedEarly(Projected):
    """A projected encoder that may stop early."""

    @property
    def exits(self) -> Sequence[int]:
        """After how many frames the encoder may stop."""
        assert isinstance(self.encoder, EarlyExit)
        return self.encoder.exits

    def up_to(self, clips: Clips, frames: int) -> Encoding:
        """Encodes clips up to an exit, and maps the encoding."""
        return self._mapped(encoded_up_to(self.encoder, clips, frames))


def projected(encoder: Encoder, width: int, wanted: int) -> Encoder:
    """Maps the encodings (B, width) of an encoder to (B, wanted); it keeps its exits."""
    cls = _ProjectedEarly if isinstance(encoder, EarlyExit) else Projected
    return cls(encoder, width, wanted)


def probe(encoder: Encoder, width: int, classes: int) -> Shapes:
    """Finds the widths of an encoder's summary and states by encoding two short clips of zeros."""
    frames = torch.zeros(2, 4, width)
    times = torch.arange(4).expand(2, -1)
    with evaluating(encoder), torch.no_grad():
        encoding = encoder(Clips(frames, torch.tensor([4, 4]), times, 4), with_states=True)
    states = {name: found.values.shape[2] for name, found in encoding.states.items()}
    return Shapes(encoding.summary.shape[1], states, classes)


def precision_on(device: torch.device, requested: str) -> Precision:
    """Turns `auto` into a precision: bf16 on a GPU that multiplies it in hardware, else fp32.

    This is a rule and no measurement of speed, because the precision changes the results: the same
    run on the same kind of device is always computed alike. The result records the precision.
    """
    if requested != "auto":
        return "bf16" if requested == "bf16" else "fp32"
    return "bf16" if device.type == "cuda" and has_bf16(device) else "fp32"


def has_bf16(device: torch.device) -> bool:
    """Tells whether the device multiplies bf16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
