"""Videos that are pieces of other videos, end to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillbench.interfaces import NO_FRAME, Labels, Videos


class JoinedVideos(Videos):
    """Videos made of pieces of other videos, end to end.

    A video's labels are those of all videos that it shows a frame of. Frames are read where they
    are, and never copied beforehand.

    skipped: what the other videos left out, by reason.
    """

    def __init__(
        self,
        videos: Videos,
        ids: Sequence[str],
        offsets: Tensor,
        pieces: Tensor,
        firsts: Tensor | None = None,
        counts: Tensor | None = None,
    ) -> None:
        """Raises `ValueError` for a piece that does not exist and for a video without a frame.

        ids: (V), of the new videos.
        offsets: (V + 1,) int64; video v has the pieces from offsets[v] to offsets[v + 1] - 1.
        pieces: (P,) int64, the video that each piece is of.
        firsts: (P,) int64, a piece's first frame; None: 0.
        counts: (P,) int64, how many frames it has, which may be none; None: all from the first on.
        """
        whole = videos.lengths[pieces]
        self._firsts = torch.zeros_like(whole) if firsts is None else firsts
        counts = whole - self._firsts if counts is None else counts
        if (self._firsts < 0).any() or (counts < 0).any() or (self._firsts + counts > whole).any():
            raise ValueError("a piece has frames that its video does not have")
        self._videos, self._pieces = videos, pieces
        self._places = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        self._begins = self._places[offsets[:-1]]
        self.ids = ids
        self.lengths = self._places[offsets[1:]] - self._begins
        if not (self.lengths > 0).all():
            raise ValueError("a video has no frame")
        self.labels = _united(videos.labels, pieces, counts > 0, offsets)
        self.skipped: Mapping[str, int] = getattr(videos, "skipped", {})
        self.features, self.codec, self.class_names = (
            videos.features,
            videos.codec,
            videos.class_names,
        )
        self.sparse = videos.sparse
        digest = blake2b(videos.fingerprint.encode(), digest_size=16)
        for each in (offsets, pieces, self._firsts, counts):
            digest.update(each.contiguous().numpy().data)
        self.fingerprint = digest.hexdigest()

    def read(self, videos: Tensor, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Reads frames out of the videos that they are of."""
        if (frames >= self.lengths[videos][:, None]).any():
            raise IndexError("a frame was requested that its video does not have")
        places = self._begins[videos][:, None] + frames
        # The last piece that begins at or before a place: empty ones lie before it.
        piece = torch.searchsorted(self._places[1:], places, right=True)
        there = places - self._places[piece] + self._firsts[piece]
        there = torch.where(frames < 0, NO_FRAME, there)
        shape = (*frames.shape, self.width)
        each = None if out is None else out.view(-1, 1, self.width)
        read = self._videos.read(self._pieces[piece].flatten(), there.view(-1, 1), each)
        return read.view(shape) if out is None else out


def draw_in_rounds(things: int, draws: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draws numbers below `things`, (draws,): none comes again before all others have come.

    More draws begin with what fewer draws are.
    """
    rounds = [generator.permutation(things) for _ in range(-(-draws // things))]
    return np.concatenate([np.zeros(0, np.int64), *rounds])[:draws]


def _united(labels: Labels, pieces: Tensor, shown: Tensor, offsets: Tensor) -> Labels:
    """Returns the labels of all pieces that are shown, each once a video, ascending."""
    videos = torch.arange(len(offsets) - 1).repeat_interleave(offsets.diff())[shown]
    found = labels.take(pieces[shown])
    pairs = videos.repeat_interleave(found.offsets.diff()) * labels.count + found.classes
    pairs = torch.from_numpy(np.unique(pairs.numpy()))
    each = torch.bincount(pairs // labels.count, minlength=len(offsets) - 1)
    ends = torch.cat([each.new_zeros(1), each.cumsum(0)])
    return Labels(ends, pairs % labels.count, labels.count)
