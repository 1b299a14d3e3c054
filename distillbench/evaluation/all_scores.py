"""Every score of every video of a split, kept for the metrics that need all of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from distillbench.distributed.processes import Processes
from distillbench.interfaces import Labels
from distillbench.metrics.score_buffer import ScoreBuffer

_MEMORY = 2 << 30  # bytes of scores in memory before the rest goes to a temporary file
_BLOCK_NUMBERS = 1 << 25  # scores in a block of a walk: 128 MiB
_SENT_NUMBERS = 1 << 22  # scores in a message between processes: 16 MiB


class AllScores:
    """Keeps scores in the order of the videos.

    `batches` walks them, with the labels beside them.
    """

    def __init__(self, labels: Labels) -> None:
        """labels: of all videos of the split."""
        self._labels = labels
        self._scores = ScoreBuffer(labels.count, _MEMORY)

    def append(self, scores: NDArray[np.float32]) -> None:
        """Adds the scores (B, C) of the next videos."""
        self._scores.append(scores)

    def batches(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """Yields scores (B, C) and labels (B, C), as often as it is called."""
        start = 0
        for scores in self._scores.blocks(max(1, _BLOCK_NUMBERS // self._labels.count)):
            scores.flags.writeable = False  # they are shown to third-party code
            yield scores, _dense(self._labels, start, start + len(scores))
            start += len(scores)

    def gathered(self, processes: Processes) -> AllScores:
        """Returns the scores of all processes' videos in the main one, where metrics are computed.

        One process sends after the other, so that the videos stay in order, in small messages.
        """
        if processes.count == 1:
            return self
        whole = AllScores(self._labels)
        rows = max(1, _SENT_NUMBERS // self._labels.count)
        nothing = torch.zeros(0, self._labels.count)
        for sender in range(processes.count):
            own = self._scores.blocks(rows) if sender == processes.rank else iter(())
            while True:
                block = next(own, None)
                sent = nothing if block is None else torch.from_numpy(block)
                received = processes.gather_uneven(sent)
                if not len(received):
                    break
                if processes.is_main:
                    whole.append(received.numpy())
        return whole


def _dense(labels: Labels, start: int, stop: int) -> NDArray[np.bool_]:
    offsets = labels.offsets[start : stop + 1].numpy()
    dense = np.zeros((stop - start, labels.count), dtype=np.bool_)
    rows = np.repeat(np.arange(stop - start), np.diff(offsets))
    dense[rows, labels.classes[offsets[0] : offsets[-1]].numpy()] = True
    return dense
