"""What a process has in hand of a folder of results, other processes leave to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from distillbench.experiments.claims import Claims

HOLDER = """
import sys, time
from pathlib import Path
from distillbench.experiments.claims import Claims
claims = Claims(Path(sys.argv[1]))
print(claims.take("run"), flush=True)
time.sleep(600)
"""


def test_all_names_are_claimed_or_none(tmp_path: Path) -> None:
    ours, theirs = Claims(tmp_path), Claims(tmp_path)
    assert ours.take("run", "teacher")
    assert not theirs.take("other run", "teacher")
    assert ours.take("other run")
    ours.leave("teacher")
    assert theirs.take("teacher")
    ours.leave("unknown")


def test_what_was_claimed_leaves_no_file(tmp_path: Path) -> None:
    claims = Claims(tmp_path)
    assert claims.take("run", "teacher")
    assert claims.take("other run")
    claims.close()
    assert list((tmp_path / "claims").iterdir()) == []
    assert Claims(tmp_path).take("run", "teacher", "other run")


def test_a_claim_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "True\n"
            assert not Claims(tmp_path).take("run")
        finally:
            holder.kill()
            holder.wait()
        assert Claims(tmp_path).take("run")


def test_a_folder_that_cannot_be_written_ends_no_sweep_before_its_runs_say_so(
    tmp_path: Path,
) -> None:
    (tmp_path / "claims").write_text("in the way")
    assert Claims(tmp_path).take("run")
