"""What third-party code prints is kept out of answers, and everything is put back."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading

import pytest

from distillbench.printing import printing_nothing, printing_to_stderr


def shout(word: str) -> None:
    print(f"print {word}")
    os.write(1, f"descriptor {word}\n".encode())
    ctypes.CDLL(None).printf(f"library {word}\n".encode())


def test_every_way_of_printing_goes_to_stderr_and_back(capfd: pytest.CaptureFixture[str]) -> None:
    shout("before")
    with printing_to_stderr():
        shout("within")
    shout("after")
    sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)
    out, err = capfd.readouterr()
    ways = ("print", "descriptor", "library")
    assert sorted(out.splitlines()) == sorted(
        f"{way} {when}" for way in ways for when in ("before", "after")
    )
    assert sorted(err.splitlines()) == sorted(f"{way} within" for way in ways)


def test_it_can_be_thrown_away(capfd: pytest.CaptureFixture[str]) -> None:
    with printing_nothing():
        shout("within")
    print("after")
    assert capfd.readouterr() == ("after\n", "")


def test_within_pytests_own_capture_it_is_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    with printing_to_stderr():
        print("within")
    print("after")
    assert capsys.readouterr() == ("after\n", "within\n")


def test_stdout_is_put_back_whatever_happened_to_it(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout

    def vandalise() -> None:
        sys.stdout = None  # type: ignore[assignment]
        os.close(1)
        raise SystemExit(3)

    with pytest.raises(SystemExit), printing_to_stderr():
        vandalise()
    assert sys.stdout is before
    os.write(1, b"after\n")
    assert capfd.readouterr()[0] == "after\n"


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-", ""])
@pytest.mark.parametrize(
    "prepare", ["", "sys.stdout.close()", "sys.stdout = None", "sys.stderr = None"]
)
def test_nothing_breaks_where_there_is_no_stdout_or_stderr(closed: str, prepare: str) -> None:
    program = (
        "import os, sys\n"
        "from distillbench.printing import printing_to_stderr\n"
        f"try:\n    {prepare or 'pass'}\nexcept AttributeError:\n    pass\n"
        "with printing_to_stderr():\n    print('NOISE')\n"
        "os._exit(7)\n"
    )
    command = f'"{sys.executable}" -c "$PROGRAM" {closed}'
    done = subprocess.run(
        command,
        shell=True,
        env={**os.environ, "PROGRAM": program},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert b"NOISE" not in done.stdout


def test_threads_that_divert_at_once_leave_standard_output_where_it_was(
    capfd: pytest.CaptureFixture[str],
) -> None:
    entered, left = threading.Event(), threading.Event()

    def other() -> None:
        with printing_to_stderr():
            entered.set()
            left.wait(10)

    thread = threading.Thread(target=other)
    with printing_to_stderr():
        thread.start()
        entered.wait(10)
    left.set()
    thread.join()
    print("answer")
    os.write(1, b"and another\n")
    assert capfd.readouterr().out == "answer\nand another\n"
