"""`python -m distillbench.testing.import_probe REPORT MODULE...`.

Imports modules, and writes what each import changed.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import distillbench.data
from distillbench.untrusted import attempted

_WATCHED: dict[str, Callable[[], object]] = {
    "torch's random state": lambda: torch.get_rng_state().tolist(),
    "Python's random state": random.getstate,
    "numpy's random state": lambda: str(np.random.get_state()),
    "the default type": torch.get_default_dtype,
    "the number of threads": torch.get_num_threads,
    "the gradient mode": torch.is_grad_enabled,
    "deterministic algorithms": torch.are_deterministic_algorithms_enabled,
    "what warnings are shown": lambda: [
        filter_ for filter_ in warnings.filters if filter_[2] is Warning
    ],
}


def import_of(module: str) -> list[str]:
    """Imports a module, and returns what that changed in the process or why it failed."""
    before = {name: look() for name, look in _WATCHED.items()}
    with tempfile.TemporaryFile() as printed, warnings.catch_warnings(record=True) as warned:
        stdout = os.dup(1)
        os.dup2(printed.fileno(), 1)
        try:
            _, reason = attempted(lambda: importlib.import_module(module))
        finally:
            sys.stdout.flush()
            os.dup2(stdout, 1)
            os.close(stdout)
        changed = [f"{name} changed" for name, look in _WATCHED.items() if look() != before[name]]
        printed.seek(0)
        text = printed.read().decode(errors="replace").strip()
    failed = [f"importing {module} raised {reason}"] if reason else []
    changed += [f"it printed {text[:80]!r}"] if text else []
    return (
        failed
        + changed
        + [f"it warned: {warning.category.__name__}: {warning.message}" for warning in warned]
    )


def main(report: str, modules: list[str]) -> None:
    """Writes the report: a JSON object from module to what its import changed."""
    # What a plugin may import has been imported before: its effects are not the plugin's.
    assert distillbench.data
    Path(report).write_text(
        json.dumps({module: import_of(module) for module in modules}), encoding="utf-8"
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
