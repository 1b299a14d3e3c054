"""What executors have in common: how many runs at once, and how often one is begun."""

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
