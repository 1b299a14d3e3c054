"""Frames where the sound changes."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import ClipGenerator, Clips, LearnedSelector, Selection
from distillbench_plugins.layers.frame_choice import along, every, marks, require_stride


class AudioPreview(LearnedSelector):
    """Frames at equal distances along the cumulative change of sound, which alone is read.

    The rule of MGSampler (arXiv 2104.09952) on the feature `audio`: a cheap modality previews the
    costly one, as in SCSampler (arXiv 1904.04289, section 3.2), here without weights. It reads the
    audio (M, A) of every stride-th of N frames, and the encoder everything of k of them. Labels
    play no part.

    Knobs:
        by: what is summed: the Euclidean `change` from frame to frame, or `loudness`, the norm of a
            frame's audio, which is the same for all where the data's codec scales frames to 1.
        mu: power of it: 0 is uniform sampling.
        stride: every stride-th frame is read and can be chosen.
    """

    reads: ClassVar[tuple[str, ...]] = ("audio",)

    def __init__(
        self,
        width: int,
        k: int,
        *,
        by: Literal["change", "loudness"] = "change",
        mu: float = 0.5,
        stride: int = 1,
    ) -> None:
        super().__init__()
        require_stride("audio-preview", stride)
        if width < 1:
            raise ConfigError(["selector audio-preview: the data set has no feature `audio`"])
        if not 0.0 <= mu <= 16.0:
            raise ConfigError([f"selector audio-preview: mu={mu} is not from 0 to 16"])
        self.k, self.by, self.mu, self.stride = k, by, mu, stride

    def candidates(self, lengths: Tensor) -> Tensor:
        """Returns every stride-th frame (B, M)."""
        return every(lengths, self.stride)

    def forward(self, candidates: Clips, generator: ClipGenerator) -> Selection:
        """Chooses k of the candidates."""
        lengths = candidates.lengths
        count = lengths.clamp_max(self.k)
        times = torch.arange(candidates.frames.shape[1])
        at = marks(count, generator, jitter=False)
        return Selection(along(self._amounts(candidates), times, at, lengths, count))

    def _amounts(self, clips: Clips) -> Tensor:
        """Returns what is summed (B, M); 0 for padding."""
        audio = clips.frames.double()
        if self.by == "loudness":
            amounts = audio.norm(dim=2)
        else:
            amounts = torch.cat([audio[:, :1] * 0, audio[:, 1:] - audio[:, :-1]], 1).norm(dim=2)
        counted = (torch.arange(audio.shape[1]) > 0).to(audio.device) & clips.mask()
        powers: Tensor = amounts**self.mu
        return powers.masked_fill(~counted, 0.0)


@hookimpl
def learned_selectors() -> dict[str, type[LearnedSelector]]:
    """Offers `audio-preview`."""
    return {"audio-preview": AudioPreview}
