"""Where a number comes from: versions, machine, commit, and the distribution of every plugin."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import distillbench
from distillbench.machine import processor

_RECORDED = ("torch", "numpy", "safetensors", "scikit-learn", "pluggy")


def versions() -> dict[str, str]:
    """Lists the versions that shape a result."""
    found = {"distillbench": distillbench.__version__, "python": platform.python_version()}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine(device: torch.device) -> dict[str, Any]:
    """Describes what the run was measured on."""
    return {
        "device": device.type,
        "device_name": (
            torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
        ),
        "threads": torch.get_num_threads(),
        "cores": torch.multiprocessing.cpu_count(),
        "system": platform.system(),
        "torch_capability": torch.backends.cpu.get_cpu_capability(),
    }


def commit() -> str | None:
    """Returns the commit the package runs from, `+` behind it where files were changed.

    None outside a checkout.
    """
    folder = Path(distillbench.__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return None
    revision, changes = (
        _git(folder, "rev-parse", "HEAD"),
        _git(folder, "status", "--porcelain", "--untracked-files=no"),
    )
    return None if revision is None else revision + ("+" if changes else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
