"""A file or folder by URL, with what is used of a `Path`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import unquote, urlsplit

from distillbench.data.remote.block_cache import BlockCache, chosen_cache
from distillbench.data.remote.connection import Connection, Version
from distillbench.errors import DataError
from distillbench.urls import SECRET, holds_secret

_NUMBERS = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_NUMBERS = 1_000_000


@dataclass(frozen=True, order=True)
class RemotePath:
    """A file or folder of a server or bucket.

    root: the URL of that, such as `s3://bucket`.
    key: names below it, with `/` between them; empty for all of it.
    """

    root: str
    key: str
    connection: Connection = field(compare=False, repr=False)
    cache: BlockCache | None = field(compare=False, repr=False)

    @classmethod
    def of(cls, url: str) -> RemotePath:
        """Reads a URL; raises `DataError` for one that is none, and for one that holds a secret."""
        return cls.of_all([url])[0]

    @staticmethod
    def _read(url: str) -> tuple[str, str]:
        """Returns the root and the key of a URL."""
        if holds_secret(url):
            raise DataError(SECRET)
        parts = urlsplit(url.strip())
        try:
            is_address = bool(parts.netloc) and parts.port != 0
        except ValueError:  # the port is none
            is_address = False
        scheme = parts.scheme.lower()
        path = unquote(parts.path) if scheme in ("http", "https") else parts.path
        names = [name for name in path.split("/") if name]
        if not is_address or {".", ".."} & set(names):
            raise DataError(f"{url}: this URL names no server or bucket, or has '.' or '..' in it")
        return f"{scheme}://{parts.netloc}", "/".join(names)

    @classmethod
    def of_all(cls, urls: Sequence[str]) -> list[RemotePath]:
        """Reads URLs; those of one server or bucket share a connection."""
        known: dict[str, RemotePath] = {}
        found = []
        for url in urls:
            root, key = cls._read(url)
            if root not in known:
                known[root] = cls(root, "", Connection(root), chosen_cache())
            found.append(known[root]._at(key))
        return found

    def __str__(self) -> str:
        return self.connection.url(self.key)

    def __truediv__(self, name: str) -> RemotePath:
        return self._at(f"{self.key}/{name}" if self.key else name)

    def _at(self, key: str) -> RemotePath:
        return RemotePath(self.root, key, self.connection, self.cache)

    @property
    def name(self) -> str:
        """The last name of its key."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """What its name ends with, from the last dot."""
        return f".{self.name.rpartition('.')[2]}" if "." in self.name[1:] else ""

    @property
    def parent(self) -> RemotePath:
        """The folder that it is in."""
        return self._at(self.key.rpartition("/")[0])

    def is_file(self) -> bool:
        """Tells whether it is a file that may be read."""
        return self.connection.has(self.key)

    def version(self) -> Version:
        """Returns what identifies its content; `DataError` where it is no file."""
        return self.connection.version(self.key)

    def read_bytes(self) -> bytes:
        """Returns what a small file holds."""
        return self.connection.read_small(self.key)

    def below(self) -> list[RemotePath]:
        """Returns every file of the folder, at any depth, but hidden ones; sorted."""
        return [self._at(key) for key in self.connection.files_below(self.key)]

    def children(self) -> list[RemotePath]:
        """Returns the files of the folder itself; none where the server lists no files."""
        return [self._at(key) for key in self.connection.files_in(self.key)]

    def matching(self) -> list[RemotePath]:
        """Returns the files that its key is a pattern of, sorted.

        `{000..099}` stands for numbers, and what is named so is not looked for. `*` and `[]` are
        those of a shell, `**` any folders.
        """
        keys = _numbered(self.key)
        magic = re.search(r"[*[]", self.key)
        if not magic:
            return [self._at(key) for key in keys]
        patterns = [key.split("/") for key in keys]
        files = self._at(self.key[: magic.start()].rpartition("/")[0]).below()
        return [
            each for each in files if any(_matches(each.key.split("/"), one) for one in patterns)
        ]


def _numbered(pattern: str) -> list[str]:
    """Replaces each `{first..last}` by every number from one to the other, as wide as the first."""
    found = _NUMBERS.search(pattern)
    if found is None:
        return [pattern]
    first, last = found[1], found[2]
    if int(last) - int(first) >= _MOST_NUMBERS:
        raise DataError(f"{found[0]}: these are more numbers than there are shards")
    numbers = (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [before + number + rest for number in numbers for rest in _numbered(after)]


def _matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tells whether names fit a pattern of a shell, in which `**` alone stands for several."""
    if not pattern:
        return not names
    if pattern[0] == "**" and _matches(names, pattern[1:]):
        return True
    if not names:
        return False
    if pattern[0] == "**":
        return _matches(names[1:], pattern)
    return fnmatchcase(names[0], pattern[0]) and _matches(names[1:], pattern[1:])
