"""The exception tree: everything a user can mend derives from `DistillbenchError`."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "DataError",
    "DistillbenchError",
    "Interrupted",
    "NotApplicableError",
    "PluginError",
    "RecordError",
    "ResultError",
    "TrainingError",
]


class DistillbenchError(Exception):
    """The base of all errors: what was requested, what was found and what to do.

    The command line prints it and exits with 2.
    """


class Interrupted(BaseException):
    """The user stopped a command; the message tells what was going on.

    No `KeyboardInterrupt`, for parsers of command lines end silently at one.
    """


class ConfigError(DistillbenchError):
    """Lists every problem of a run or a grid at once."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class NotApplicableError(ConfigError):
    """Lists why what was chosen cannot work together, though each choice is right.

    A sweep makes a row of it.
    """


class StoppedError(DistillbenchError):
    """Says when a run was stopped because it had fallen behind.

    reached: how good it was by then on validation videos; the higher the better.
    """

    def __init__(self, message: str, reached: float) -> None:
        self.reached = reached
        super().__init__(message)


class PluginError(DistillbenchError):
    """Names a plugin that cannot be used, and why."""


class DataError(DistillbenchError):
    """Names the file, folder or split that cannot be read, and why."""


class RecordError(DataError):
    """Names a bad record: its file, its byte offset and what is wrong with it."""

    def __init__(self, path: str, offset: int, reason: str) -> None:
        self.path, self.offset, self.reason = path, offset, reason
        super().__init__(f"{path}: record at byte {offset}: {reason}")


class TrainingError(DistillbenchError):
    """Training cannot go on: which term failed, where, and what is stored."""


class ResultError(DistillbenchError):
    """A result, a stored teacher or a checkpoint that cannot be written or read."""
