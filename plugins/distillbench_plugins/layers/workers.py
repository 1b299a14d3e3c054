"""What executors have in common: how many runs at once, how often each, and on what."""

from __future__ import annotations

from typing import Literal

_MOST_ATTEMPTS = 1000


def wrong_workers(name: str, workers: Literal["auto"] | int, attempts: int) -> list[str]:
    """Lists what is wrong with two knobs of the executor of that name."""
    problems = []
    if workers != "auto" and workers < 1:
        problems.append(
            f"executor {name}: workers takes auto or an integer of at least 1; found {workers}"
        )
    if not 1 <= attempts <= _MOST_ATTEMPTS:
        problems.append(
            f"executor {name}: attempts={attempts} is not an integer from 1 to {_MOST_ATTEMPTS}"
        )
    return problems


def every_core(name: str) -> str:
    """Says why runs on all cores of a machine cannot be placed on machines that differ."""
    return (
        f"executor {name}: the runs take every core of a machine (training.threads = 0), which"
        " differs from node to node; say how many with --threads"
    )


def wrong_gpus(name: str, gpus: float, *, on_gpu: bool) -> list[str]:
    """Lists where GPUs that a run occupies and the device that it is made on do not fit."""
    if on_gpu and gpus == 0:
        return [f"executor {name}: gpus_per_run=0, and the runs are made on GPUs"]
    if gpus > 0 and not on_gpu:
        return [
            f"executor {name}: gpus_per_run={gpus:g}, and the runs use none; --device cuda has them"
            " made on GPUs, whether or not this machine has one"
        ]
    return []
