"""Each video's best 20 predictions, stored so that they can be scored again without the network."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from distillbench.errors import ResultError
from distillbench.evaluation.ranking import KEPT, Kept, RankingMetrics, ranking_metrics
from distillbench.storage import opened, write_atomically

_FORMAT = "distillbench top-20 predictions, format 1"


@dataclass(frozen=True)
class Predictions:
    """What was kept of V videos, under their names: ids (V) strings, unique; kept in the same order."""

    ids: tuple[str, ...]
    kept: Kept

    def __post_init__(self) -> None:
        """Raises ValueError where the names are not as many as the videos."""
        if len(self.ids) != len(self.kept.positives):
            raise ValueError(f"{len(self.ids)} ids for {len(self.kept.positives)} videos")

    @property
    def classes(self) -> NDArray[np.int32]:
        """The classes (V, K) int32, best first; -1 where fewer were offered."""
        return np.where(self.kept.scores > -np.inf, self.kept.classes, -1).astype(np.int32)

    @property
    def scores(self) -> NDArray[np.float32]:
        """The scores (V, K) float32, best first; minus infinity where fewer were offered."""
        return self.kept.scores

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Which predictions are right: (V, K) bool."""
        return self.kept.hits

    @property
    def positives(self) -> NDArray[np.signedinteger]:
        """The number of labels of each video, predicted or not: (V,)."""
        return self.kept.positives

    def metrics(self, mean_average_precision: float | None = None) -> RankingMetrics:
        """Computes the metrics again; the untruncated mAP cannot be and is taken as given."""
        return ranking_metrics(self.kept, mean_average_precision)

    def save(self, path: Path) -> None:
        """Writes one safetensors file, whole or not at all. Raises ResultError where it cannot."""
        names = np.frombuffer(json.dumps(self.ids).encode(), dtype=np.uint8)
        arrays = {"ids": names} | {field.name: getattr(self.kept, field.name) for field in fields(Kept)}
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        write_atomically(path, lambda temporary: save_file(whole, temporary, {"format": _FORMAT}))

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Reads what `save` wrote. Raises ResultError where the file is missing, damaged or of another kind."""
        with opened(path, "numpy", "predictions") as file:
            found = (file.metadata() or {}).get("format", "a safetensors file of another kind")
            if found != _FORMAT:
                raise ResultError(f"'{path}': '{_FORMAT}' was asked for; this is '{found}'")
            ids = _ids(file.get_tensor("ids"))
            kept = Kept(**{field.name: file.get_tensor(field.name) for field in fields(Kept)})
        problem = _problem(len(ids), kept)
        if problem:
            raise ResultError(f"'{path}': damaged predictions: {problem}")
        return cls(ids, kept)


def _ids(written: NDArray[np.generic]) -> tuple[str, ...]:
    """Reads the videos' names; raises ValueError where they are no unique strings."""
    ids = json.loads(written.tobytes())
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids) or len(set(ids)) < len(ids):
        raise ValueError("the videos' ids are no unique strings")
    return tuple(ids)


def _problem(videos: int, kept: Kept) -> str | None:
    """Says in what arrays that were read are not what `Kept` promises."""
    classes = kept.class_positives.size
    shapes = {
        **dict.fromkeys(("scores", "classes", "hits"), (videos, min(KEPT, classes))),
        **dict.fromkeys(("positives", "hits_at_positives"), (videos,)),
        "class_positives": (classes,),
    }
    for name, shape in shapes.items():
        array = getattr(kept, name)
        kind = {"scores": np.float32, "hits": np.bool_}.get(name, np.signedinteger)
        if array.shape != shape or not np.issubdtype(array.dtype, kind):
            return f"{name} are {array.dtype} {array.shape}; they must be {kind.__name__} {shape}"
    offered = kept.scores > -np.inf
    found = kept.hits.view(np.uint8)
    told = {
        "scores are not finite": not (np.isfinite(kept.scores) | (kept.scores == -np.inf)).all(),
        "scores are not best first": not (kept.scores[:, 1:] <= kept.scores[:, :-1]).all(),
        "classes are out of range": not (~offered | ((kept.classes >= 0) & (kept.classes < classes))).all(),
        "hits are no truth values, or of classes that were not offered": (found > offered).any(),
        "positives are out of range": not ((kept.positives >= 0) & (kept.positives <= classes)).all(),
        "hits are more than positives": (found.sum(1) > kept.positives).any(),
        "hits at positives are out of range": not (
            (kept.hits_at_positives >= 0) & (kept.hits_at_positives <= kept.positives)
        ).all(),
        "class positives do not add up": (kept.class_positives < 0).any()
        or kept.class_positives.sum() != kept.positives.sum(),
    }
    return next((problem for problem, there in told.items() if there), None)
