"""The golden runs: no change of the code changes a number, unless the changelog says which and why."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ELSEWHERE, ELSEWHERE_COARSE = 0.03, 0.15
"""By how much a number may differ on another kind of processor, whose kernels round in another order; and by how much in
bf16 and in 8 bits, whose kernels differ more."""


def leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yields every number and digest, by a name that says where it is."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{name} > {key}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{name} > {place}")
    else:
        yield name, value


def agrees(name: str, ours: Any, theirs: Any, *, same_processor: bool) -> bool:
    """Tells whether a number is what it was: to the last bit, or elsewhere but for rounding."""
    if same_processor or ours == theirs:
        return bool(ours == theirs)
    if name.endswith((" > best", " > ties")):  # which of two nearly equal numbers is the larger
        return True
    if isinstance(ours, float) and isinstance(theirs, int | float):
        by = ELSEWHERE_COARSE if "bf16" in name or "8 bits" in name else ELSEWHERE
        return bool(ours == pytest.approx(theirs, abs=by, rel=by))
    return isinstance(ours, str) and isinstance(theirs, str)  # digests, and lines of tables


def test_elsewhere_numbers_may_differ_by_rounding_and_no_more() -> None:
    assert agrees("run > gap", 0.5001, 0.5, same_processor=False)
    assert not agrees("run > gap", 0.5001, 0.5, same_processor=True)
    assert not agrees("run > gap", 0.6, 0.5, same_processor=False)
    assert not agrees("run > macs", 7, 8, same_processor=False)


def test_every_golden_run_gives_the_numbers_that_it_gave() -> None:
    known = json.loads((HERE / "golden.json").read_text(encoding="utf-8"))
    made = subprocess.run(
        [sys.executable, str(HERE / "runs.py")], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    found = json.loads(made.stdout)
    same_processor = found.pop("processor") == known.pop("processor")
    ours, theirs = (
        dict(leaf for name, run in runs.items() for leaf in leaves(run, name))
        for runs in (found, known)
    )
    assert ours.keys() == theirs.keys()
    different = {
        name: (theirs[name], value)
        for name, value in ours.items()
        if not agrees(name, value, theirs[name], same_processor=same_processor)
    }
    assert different == {}
