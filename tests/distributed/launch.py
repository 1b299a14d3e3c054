"""Starts the processes of one run without torchrun's agent, which takes seconds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def launch(count: int, arguments: Sequence[str]) -> list[subprocess.Popen[str]]:
    """Starts `python ARGUMENTS` several times, with the environment that torchrun sets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    environment = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
    }
    environment |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    return [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def ended(
    processes: Sequence[subprocess.Popen[str]], seconds: float = 120
) -> list[tuple[int, str]]:
    """Waits for all; returns the exit code and the standard error of each."""
    try:
        return [
            (process.wait(), text)
            for process in processes
            for _, text in [process.communicate(timeout=seconds)]
        ]
    finally:
        for process in processes:
            process.kill()
