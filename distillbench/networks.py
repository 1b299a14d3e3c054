"""A network is an encoder and a head; here is how it runs, in which precision and how wide it is."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from distillbench.interfaces import Clips, Codec, Encoder, Encoding, Head, Outcome, Shapes

Precision = Literal["fp32", "bf16"]


class Model(nn.Module):
    """One network of a run. Weights are fp32; `precision` is what the products are computed in."""

    def __init__(self, encoder: Encoder, head: Head, codec: Codec, precision: Precision = "fp32") -> None:
        super().__init__()
        self.encoder, self.head, self.codec, self.precision = encoder, head, codec, precision

    def forward(self, clips: Clips) -> Outcome:
        """Decodes stored clips, on the device they are on, encodes them and computes their logits."""
        decoded = self.codec.decode(clips)
        with self._autocast(decoded.frames.device):
            encoding = self.encoder(decoded)
            logits = self.head(encoding.summary)
        states = None if encoding.states is None else encoding.states.float()
        return Outcome(Encoding(encoding.summary.float(), states, encoding.times), logits.float())

    def outcome_of(self, summary: Tensor) -> Outcome:
        """Computes the logits of encodings (B, E) that were kept."""
        with self._autocast(summary.device):
            logits = self.head(summary)
        return Outcome(Encoding(summary.float()), logits.float())

    def _autocast(self, device: torch.device) -> torch.autocast:
        kind = "cpu" if device.type == "meta" else device.type
        return torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bf16")


def probe(encoder: Encoder, width: int, classes: int) -> Shapes:
    """Finds out how wide an encoder's summary and states are by encoding two short clips of zeros."""
    frames = torch.zeros(2, 4, width)
    times = torch.arange(4).expand(2, -1)
    was_training, kept = encoder.training, encoder.keeps_states
    encoder.eval()
    encoder.keeps_states = True
    with torch.no_grad():
        encoding = encoder(Clips(frames, torch.tensor([4, 4]), times, 4))
    encoder.train(was_training)
    encoder.keeps_states = kept
    states = None if encoding.states is None else encoding.states.shape[2]
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
