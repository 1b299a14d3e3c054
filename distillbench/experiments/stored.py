"""Finds the result of a run that was made before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from distillbench.config.run_spec import RunSpec
from distillbench.errors import ResultError
from distillbench.interfaces import Splits
from distillbench.networks import precision_on
from distillbench.results import store
from distillbench.results.store import Result


def find_stored(spec: RunSpec, data: Mapping[str, str], folder: Path) -> Result | None:
    """Returns the result in a folder of the same run on the same data.

    data: its `fingerprints`.

    None where there is none, or it is damaged. Raises `ResultError` where a folder stands in its
    place.
    """
    path = folder / f"{spec.key}.json"
    if path.is_dir():
        raise ResultError(
            f"'{path}' is a folder, where the result of this run is to be written; move it away"
        )
    try:
        result = store.read(path)
    except ResultError:
        return None
    # The key does not say what the data files hold: a file may have been replaced by another.
    if result.content["data"]["fingerprints"] != data:
        return None
    return result if _has_its_precision(spec, result) else None


def fingerprints(splits: Splits) -> dict[str, str]:
    """Returns a hash of the content of each split, by name."""
    return {name: getattr(splits, name).fingerprint for name in ("train", "validation", "test")}


def _has_its_precision(spec: RunSpec, result: Result) -> bool:
    """Tells whether a result was computed in the precision that its run has on a CPU.

    Results on CPUs that are older than the rule were computed in whatever had been measured to be
    faster.
    """
    machine = result.record.machine
    ruled = precision_on(torch.device("cpu"), spec.training.precision)
    return machine.device != "cpu" or machine.precision == ruled
