"""Each video's best 20 predictions, stored so that they can be scored again without the network."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from distillbench.errors import ResultError
from distillbench.evaluation.ranking import Kept, RankingMetrics, precision_sums, ranking_metrics
from distillbench.storage import write_atomically

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
        try:
            with safe_open(path, framework="numpy") as file:
                found = (file.metadata() or {}).get("format", "a safetensors file of another kind")
                if found != _FORMAT:
                    raise ResultError(f"{path}: '{_FORMAT}' was asked for; this is '{found}'")
                ids = json.loads(file.get_tensor("ids").tobytes())
                return cls(tuple(ids), Kept(**{field.name: file.get_tensor(field.name) for field in fields(Kept)}))
        except OSError as error:
            raise ResultError(f"{path}: cannot read predictions: {error.strerror or error}") from error
        except SafetensorError as error:
            raise ResultError(f"{path}: not a safetensors file, or a damaged one: {error}") from error


def gap_of(predictions: Predictions) -> float:
    """Computes GAP@20 of stored predictions; NaN where no video has a label."""
    total = int(predictions.kept.class_positives.sum())
    return float(precision_sums(predictions.kept, by_class=False)[0][0] / total) if total else float("nan")
