"""What a process has in hand of a folder of results, which it tells others by locks there."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from distillbench.errors import ResultError
from distillbench.storage import held


class Claims:
    """The runs and the teachers that this process makes, and no other one beside it.

    A claim ends with its process. Where the file system knows no locks, every claim is granted:
    two processes may then make the same, and store the same.
    """

    def __init__(self, results: Path) -> None:
        self._folder = results / "claims"
        self._held: dict[str, ExitStack] = {}

    def take(self, *names: str) -> bool:
        """Claims all of them, unless another process has one; then it claims none."""
        taken: dict[str, ExitStack] = {}
        for name in names:
            taken[name] = ExitStack()
            try:
                self._folder.mkdir(exist_ok=True)
                taken[name].enter_context(held(self._folder / name, ResultError(name)))
            except ResultError:
                for claim in taken.values():
                    claim.close()
                return False
            except OSError:  # a full disk; the run will say so
                continue
        self._held |= taken
        return True

    def leave(self, name: str) -> None:
        """Gives up a claim, if there is one."""
        if (claim := self._held.pop(name, None)) is not None:
            claim.close()

    def close(self) -> None:
        """Gives up all claims."""
        for name in list(self._held):
            self.leave(name)
