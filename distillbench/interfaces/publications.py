"""Where the files of a data set are published."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedFile:
    """A file that can be fetched.

    name: what it is called here, without folders.
    url: where it is.
    md5: of its bytes, 32 hexadecimal digits; empty where it is not known.
    """

    name: str
    url: str
    md5: str = ""


class Publication(ABC):
    """Lists the files that a data set is made of, for `distillbench data fetch`.

    base: what all URLs begin with, where nobody names another place.
    splits: the names of what can be fetched.
    mirrors: the names of places that have the same files, the usual one first; empty for one place.
    """

    base: str
    splits: Sequence[str]
    mirrors: Sequence[str] = ()

    @abstractmethod
    def files(
        self, split: str, base: str, mirror: str, read: Callable[[str], bytes]
    ) -> Sequence[PublishedFile]:
        """Returns the files of a split.

        base: in place of its own.
        mirror: one of its mirrors; empty where it has none.
        read: returns what a small file holds, by URL.
        Raises `DataError` where a list of files is not what it should be.
        """
