"""Each video's best 20 predictions, stored so that they can be scored again without the network."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from distillbench.errors import ResultError
from distillbench.interfaces import BEST, Predictions
from distillbench.storage import opened, write_atomically

_FORMAT = "distillbench top-20 predictions, format 1"
_ARRAYS = ("scores", "classes", "hits", "positives", "hits_at_positives", "class_positives")


def save(predictions: Predictions, path: Path) -> None:
    """Writes one safetensors file, whole or not at all. Raises ResultError where it cannot."""
    names = np.frombuffer(json.dumps(predictions.ids).encode(), dtype=np.uint8)
    arrays = {"ids": names} | {name: getattr(predictions, name) for name in _ARRAYS}
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomically(path, lambda temporary: save_file(whole, temporary, {"format": _FORMAT}))


def load(path: Path) -> Predictions:
    """Reads what `save` wrote; the labels are stored elsewhere, once a data set.

    Raises ResultError where the file is missing, damaged or of another kind.
    """
    with opened(path, "numpy", "predictions") as file:
        found = (file.metadata() or {}).get("format", "a safetensors file of another kind")
        if found != _FORMAT:
            raise ResultError(f"'{path}': '{_FORMAT}' was expected; this is '{found}'")
        ids = _ids(file.get_tensor("ids"))
        arrays = {name: file.get_tensor(name) for name in _ARRAYS}
    problem = _problem(len(ids), SimpleNamespace(**arrays))
    if problem:
        raise ResultError(f"'{path}': damaged predictions: {problem}")
    return Predictions(ids=ids, **arrays)


def _ids(written: NDArray[np.generic]) -> tuple[str, ...]:
    """Reads the videos' names; raises ValueError where they are no unique strings."""
    ids = json.loads(written.tobytes())
    if (
        not isinstance(ids, list)
        or not all(isinstance(name, str) for name in ids)
        or len(set(ids)) < len(ids)
    ):
        raise ValueError("the videos' ids are no unique strings")
    return tuple(ids)


def _problem(videos: int, kept: SimpleNamespace) -> str | None:
    """Returns in what arrays that were read are not as `Predictions` requires."""
    classes = kept.class_positives.size
    shapes = {
        **dict.fromkeys(("scores", "classes", "hits"), (videos, min(BEST, classes))),
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
    problems = {
        "scores are not finite": not (np.isfinite(kept.scores) | (kept.scores == -np.inf)).all(),
        "scores are not best first": not (kept.scores[:, 1:] <= kept.scores[:, :-1]).all(),
        "classes are out of range": (
            not (~offered | ((kept.classes >= 0) & (kept.classes < classes))).all()
        ),
        "hits are no truth values, or of classes that were not offered": (found > offered).any(),
        "positives are out of range": (
            not ((kept.positives >= 0) & (kept.positives <= classes)).all()
        ),
        "hits are more than positives": (found.sum(1) > kept.positives).any(),
        "hits at positives are out of range": (
            not ((kept.hits_at_positives >= 0) & (kept.hits_at_positives <= kept.positives)).all()
        ),
        "class positives do not add up": (
            (kept.class_positives < 0).any() or kept.class_positives.sum() != kept.positives.sum()
        ),
    }
    return next((problem for problem, there in problems.items() if there), None)
