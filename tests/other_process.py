"""Another process that has files of a folder of results in hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAM = """
import sys
from pathlib import Path
from distillbench.experiments.shared_folder import Claims
claims = Claims(Path(sys.argv[1]))
for line in sys.stdin:
    word, *names = line.rstrip("\\n").split("\\t")
    print({"take": claims.take, "leave": claims.leave}[word](*names), flush=True)
"""


class Other:
    """Claims what it is told to, as a sweep does."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def take(self, *names: str) -> str | None:
        """Returns the first name that somebody else has; None if all are claimed."""
        found = self._ask("take", *names)
        return None if found == "None" else found

    def leave(self, *names: str) -> None:
        self._ask("leave", *names)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _ask(self, *words: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(*words, sep="\t", file=self._process.stdin, flush=True)
        return self._process.stdout.readline().rstrip("\n")


@contextmanager
def another_process(results: Path) -> Iterator[Other]:
    """Starts one, and ends it."""
    command = [sys.executable, "-c", _PROGRAM, str(results)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Other(process)
        finally:
            process.kill()
