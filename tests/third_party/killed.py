"""A command line that is killed by SIGKILL after so many checkpoints, in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from distillbench.cli import main
from distillbench.training import checkpoint


def run_until_killed(saves: int, words: Sequence[str], told: Path) -> int:
    """Begins a run, which kills itself; returns the exit code of its process.

    It looks for modules where this process does. told: the file of all that it prints.
    """
    # Processes are forked from one that has torch and every plugin, whose import takes seconds.
    forked = multiprocessing.get_context("forkserver")
    installed = entry_points(group="distillbench")
    forked.set_forkserver_preload([__name__, *sorted({each.module for each in installed})])
    process = forked.Process(target=_run, args=(saves, list(words), told))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(saves: int, words: list[str], told: Path) -> None:
    with told.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    _kill_after(saves)
    sys.argv = ["distillbench", *words]
    main()


def _kill_after(saves: int) -> None:
    """Lets this process be killed right after its last checkpoint of so many was written."""
    write, written = checkpoint.save_tensors, [0]

    def save(*given: object) -> None:
        write(*given)  # type: ignore[arg-type]
        written[0] += 1
        if written[0] == saves:
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.save_tensors = save  # type: ignore[assignment]
