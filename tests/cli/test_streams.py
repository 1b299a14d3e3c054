"""Output goes wherever it is sent, or the command reports why it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "results" / "format1"
BOARD = [sys.executable, "-m", "distillbench", "leaderboard", str(FOLDER)]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_leaderboard_is_printed_in_an_encoding_that_lacks_its_signs(encoding: str) -> None:
    done = subprocess.run(
        BOARD, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"hrnn serial" in done.stdout


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(BOARD, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_the_output_is_one_clear_error() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(BOARD, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert (
        "error: the output of the command cannot be written: No space left on device" in done.stderr
    )
