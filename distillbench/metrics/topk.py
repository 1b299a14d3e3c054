"""The best 20 scores of every video, gathered batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from distillbench.distributed.processes import Processes
from distillbench.interfaces import BEST, Batches, Labels, Predictions
from distillbench.metrics.inputs import Array, positives, reject_nan, unpack

_BLOCK = 8  # classes that compete before the search for the best; measured best at 3,862 classes
_ROWS = 1024  # rows that are searched with 64-bit keys at a time


class TopK:
    """Accumulates what metrics of the best scores need, in bounded memory.

    The state is 148 bytes a video up to 32,768 classes (188 beyond), and 8 bytes a class. Scores
    are compared as float32: give logits, which do not saturate as probabilities do. A score of
    minus infinity means that the class is not offered, and is never a hit; its class is then -1.
    Ties: see `ranking`.
    """

    def __init__(self, classes: int) -> None:
        """classes: C, at least 1."""
        self.classes = classes
        self._class_dtype = torch.int16 if classes <= 1 << 15 else torch.int32
        self._class_positives = torch.zeros(classes, dtype=torch.int64)
        self._videos = 0
        self._chunks: dict[str, list[Tensor]] = {
            "scores": [torch.empty(0, min(BEST, classes), dtype=torch.float32)],
            "classes": [torch.empty(0, min(BEST, classes), dtype=self._class_dtype)],
            "hits": [torch.empty(0, min(BEST, classes), dtype=torch.bool)],
            "positives": [torch.empty(0, dtype=torch.int32)],
            "hits_at_positives": [torch.empty(0, dtype=torch.int32)],
        }

    def __len__(self) -> int:
        """Counts the videos seen."""
        return self._videos

    def update(self, scores: Array, labels: Array) -> None:
        """Adds a batch: scores (B, C) of any floating type on any device, labels (B, C) of 0 and 1.

        Raises TrainingError where a score is NaN, naming the first such video by its number among
        all videos seen.
        """
        scores, labels = unpack(scores, labels, self.classes)
        if len(scores) == 0:
            return
        best, classes = _best(scores, min(BEST, self.classes), self._videos)
        offered = best > -torch.inf
        hits = labels.gather(1, classes) & offered
        classes = classes.masked_fill(~offered, -1)
        rows, label_classes = positives(labels)
        counts = torch.from_numpy(np.bincount(rows, minlength=len(scores)))
        self._class_positives += torch.from_numpy(
            np.bincount(label_classes, minlength=self.classes)
        )
        self._videos += len(scores)
        hits = hits.cpu()
        batch = {
            "scores": best.cpu(),
            "classes": classes.to("cpu", self._class_dtype),
            "hits": hits,
            "positives": counts.to(torch.int32),
            "hits_at_positives": _hits_at(counts, hits, scores, labels),
        }
        for name, values in batch.items():
            self._chunks[name].append(values)

    def merge(self, other: TopK) -> None:
        """Adds the videos of another accumulator after one's own, as if one had seen them all."""
        if other.classes != self.classes:
            raise ValueError(
                f"cannot merge accumulators of {self.classes} and {other.classes} classes"
            )
        for name, chunks in other._chunks.items():
            self._chunks[name].extend(chunks)
        self._class_positives += other._class_positives
        self._videos += other._videos

    def gathered(self, processes: Processes) -> TopK:
        """Returns the accumulator of all processes' videos, those of the first process first."""
        rows = self.state()
        class_positives = processes.sum(rows.pop("class_positives"))
        joined = {name: processes.gather_uneven(values) for name, values in rows.items()}
        return TopK.from_state(joined | {"class_positives": class_positives})

    def state(self) -> dict[str, Tensor]:
        """Returns all that was gathered as tensors on the CPU, to be sent to another process."""
        for name, chunks in self._chunks.items():
            self._chunks[name] = [torch.cat(chunks)]
        return {name: chunks[0] for name, chunks in self._chunks.items()} | {
            "class_positives": self._class_positives
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> TopK:
        """Makes the accumulator whose `state()` this is."""
        accumulator = cls(len(state["class_positives"]))
        accumulator._chunks = {name: [state[name]] for name in accumulator._chunks}
        accumulator._class_positives = state["class_positives"].clone()
        accumulator._videos = len(state["positives"])
        return accumulator

    def predictions(
        self, ids: Sequence[str], labels: Labels | None = None, batches: Batches | None = None
    ) -> Predictions:
        """Returns what was gathered under the videos' names, given in the order they were seen in.

        labels, batches: what `Predictions` holds of the same videos beside that.
        """
        arrays = {name: values.numpy() for name, values in self.state().items()}
        for array in arrays.values():
            array.flags.writeable = False  # they are shown to third-party code
        return Predictions(ids=tuple(ids), **arrays, labels=labels, batches=batches)


def _best(scores: Tensor, k: int, seen: int) -> tuple[Tensor, Tensor]:
    """Finds each row's k best scores, best first, equal scores by class.

    (B, k) float32 and (B, k) int64.
    """
    values, classes = _some_best(scores, min(k + 1, scores.shape[1]))
    if values[:, 0].isnan().any():  # NaN outranks every number
        reject_nan(scores, seen)
    equal = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -torch.inf)
    values, classes = values[:, :k].contiguous(), classes[:, :k].contiguous()
    swapped = equal[:, : k - 1].any(1).nonzero()[:, 0]
    values[swapped], classes[swapped] = _by_class(values[swapped], classes[swapped])
    # The last kept equals one left out, perhaps of a lower class.
    cut = equal[:, k - 1 :].any(1).nonzero()[:, 0]
    for start in range(0, len(cut), _ROWS):
        rows = cut[start : start + _ROWS]
        classes[rows] = _best_by_key(scores[rows], k)
        values[rows] = scores[rows[:, None], classes[rows]]
    return values, classes


def _by_class(values: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Orders each row by score, best first, and equal scores by class."""
    classes, order = classes.sort(dim=1)
    values, best_first = values.gather(1, order).sort(dim=1, descending=True, stable=True)
    return values, classes.gather(1, best_first)


def _some_best(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Finds each row's k best scores, best first; which of equal ones it finds is left open.

    With many classes, only the members of the k best of C / 8 blocks are searched: no other member
    can be better.
    """
    width = scores.shape[1] // _BLOCK
    if width < 4 * k:
        values, classes = scores.topk(k, dim=1)
        return values, classes
    blocks = scores[:, : width * _BLOCK].reshape(-1, _BLOCK, width)
    best = blocks.amax(1).topk(k, dim=1, sorted=False).indices[:, None].expand(-1, _BLOCK, -1)
    members = best + torch.arange(_BLOCK, device=scores.device)[:, None] * width
    rest = torch.arange(width * _BLOCK, scores.shape[1], device=scores.device).expand(
        len(scores), -1
    )
    classes = torch.cat([members.flatten(1), rest], dim=1)
    values, places = scores.gather(1, classes).topk(k, dim=1)
    return values, classes.gather(1, places)


def _best_by_key(scores: Tensor, k: int) -> Tensor:
    """Finds the classes (B, k) of each row's k best scores.

    Equal scores are ordered by class, through one 64-bit key for both.
    """
    bits = (scores + 0.0).view(torch.int32)  # adding makes -0.0 and 0.0 one
    ascending = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(torch.int64)
    last = scores.shape[1] - 1
    keys = (ascending << 32) | (last - torch.arange(last + 1, device=scores.device))
    return last - (keys.topk(k, dim=1).values & 0xFFFFFFFF)


def _hits_at(counts: Tensor, hits: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """Counts the hits among each video's n_v best classes: (B,) int32.

    A video with n_v > K is sorted in full.
    """
    places = torch.arange(hits.shape[1])
    found = (hits & (places < counts[:, None])).sum(1)
    for row in (counts > hits.shape[1]).nonzero()[:, 0].tolist():
        best = _best_by_key(scores[row : row + 1], int(counts[row]))[0]
        found[row] = (labels[row, best] & (scores[row, best] > -torch.inf)).sum()
    return found.to(torch.int32)
