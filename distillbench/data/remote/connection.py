"""Requests to a server or bucket: tried again when they fail, and never telling a secret."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from html.parser import HTMLParser
from threading import Lock
from types import ModuleType
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote, urljoin, urlsplit

from distillbench.data.remote.secrets import authorization_for, signed_query
from distillbench.errors import DataError

T = TypeVar("T")

_STATUS = re.compile(r"status code: (\d{3})")
_MOST_LINKS = 1_000_000
_SHARD = ".tfrecord"
_CHANCE = random.Random()  # of waiting times alone; results do not depend on it


@dataclass(frozen=True)
class Patience:
    """How long a request is tried.

    tries: how often.
    first_wait: seconds before the second try; each later one waits twice as long, up to
    `longest_wait`, and up to a quarter more or less.
    timeout: seconds that one try may take.
    """

    tries: int = 8
    first_wait: float = 0.25
    longest_wait: float = 10.0
    timeout: float = 30.0

    def wait(self, tries: int) -> None:
        """Waits after so many tries."""
        longest = min(self.longest_wait, self.first_wait * 2 ** (tries - 1))
        time.sleep(longest * _CHANCE.uniform(0.75, 1.25))


PATIENCE = Patience()


class Version(NamedTuple):
    """Identifies the content of a file: its bytes, its ETag and the second it was written.

    An empty ETag or 0 seconds is one that the server does not tell.
    """

    size: int
    etag: str
    seconds: int

    @property
    def is_certain(self) -> bool:
        """Whether another content would have another version."""
        return bool(self.etag or self.seconds)


class _Missing(Exception):  # noqa: N818 - found by the one who asked
    """There is no such file, or none that may be seen."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Connection:
    """The files of one server or bucket.

    root: its URL, such as `s3://bucket` or `https://host:port`.

    What is known of a file is asked once, so that one connection sees one version of each: reading
    raises `DataError` where the file is another by then.
    """

    def __init__(self, root: str) -> None:
        """Reads what the environment says of credentials; requests nothing."""
        self.root = root
        self._obstore = _imported(root)
        self._scheme, _, self._host = root.partition("://")
        self._stores: dict[str, Any] = {}
        self._versions: dict[str, Version] = {}
        self._lock = Lock()

    def url(self, key: str) -> str:
        """Returns a file's URL, which has no secret in it."""
        return f"{self.root}/{quote(key) if self._is_http else key}"

    @property
    def _is_http(self) -> bool:
        return self._scheme in ("http", "https")

    def version(self, key: str) -> Version:
        """Returns the version of a file; `DataError` where there is none."""
        found = self._versions.get(key)
        if found is None:
            try:
                found = self._versions[key] = self._ask_version(key)
            except _Missing as missing:
                reason = missing.reason
            else:
                return found
            raise DataError(f"{self.url(key)}: {reason}")
        return found

    def has(self, key: str) -> bool:
        """Tells whether there is a file of this name that may be read."""
        if key in self._versions:
            return True
        if not key:
            return False
        try:
            self._versions[key] = self._ask_version(key)
        except _Missing:
            return False
        return True

    def _ask_version(self, key: str) -> Version:
        found = self._tried(
            key, lambda store: self._obstore.get(store, key, options={"head": True})
        )
        kind = str(found.attributes.get("Content-Type", ""))
        if self._is_http and kind.startswith("text/html") and not key.endswith(_SHARD):
            raise _Missing("it is a page")  # that of a folder, by its name without a '/'
        return _version(found.meta)

    def read(self, key: str, start: int, stop: int) -> memoryview:
        """Returns the bytes [start, stop) of a file.

        `DataError` where they cannot be had, or the file is another than it was.
        """
        expected = self.version(key)

        def work(store: Any) -> memoryview:
            found = self._obstore.get(store, key, options={"range": (start, stop)})
            self._require_same(key, expected, _version(found.meta))
            data = memoryview(found.bytes())
            if len(data) != stop - start:
                raise EOFError
            return data

        try:
            return self._tried(key, work)
        except _Missing as missing:
            reason = missing.reason
        raise DataError(f"{self.url(key)}: the file was there and cannot be read now: {reason}")

    def read_small(self, key: str) -> bytes:
        """Returns all of a small file; `DataError` where there is none."""
        size = self.version(key).size
        return bytes(self.read(key, 0, size)) if size else b""

    def files_below(self, key: str) -> list[str]:
        """Returns every file of a folder, at any depth, but hidden ones; sorted.

        Servers of `http` are asked for the page that lists the folder.
        """
        found = self._all_linked(key) if self._is_http else self._all_listed(key)
        shown = len(f"{key}/") if key else 0
        return sorted(each for each in found if not re.search(r"(^|/)\.", each[shown:]))

    def files_in(self, key: str) -> list[str]:
        """Returns the files of a folder itself, in any order; none where it cannot be listed."""
        try:
            if self._is_http:
                return [each for each, is_folder in self._links(key) if not is_folder]
            return list(self._listed(key, self._obstore.list_with_delimiter, "objects"))
        except _Missing:
            return []

    def _all_listed(self, key: str) -> list[str]:
        try:
            return list(self._listed(key, self._obstore.list))
        except _Missing as missing:
            reason = missing.reason
        raise DataError(f"{self.url(key)}: cannot be listed: {reason}")

    def _listed(self, key: str, ask: Callable[..., Any], part: str = "") -> Iterator[str]:
        """Yields the files that a bucket lists, and learns their versions."""

        def work(store: Any) -> list[Any]:
            found = ask(store, key or None)
            return list(found[part]) if part else [each for some in found for each in some]

        for each in self._tried(key, work):
            if each["path"] != key:
                self._versions[each["path"]] = _version(each)
                yield each["path"]

    def _all_linked(self, key: str) -> list[str]:
        """Returns the files that the pages of a folder and of those below it link to."""
        waiting, seen = [key], {key}
        found: list[str] = []
        while waiting and len(seen) < _MOST_LINKS:
            folder = waiting.pop()
            try:
                links = self._links(folder)
            except _Missing as missing:
                reason = missing.reason
            else:
                for each, is_folder in links:
                    if each not in seen:
                        (waiting if is_folder else found).append(each)
                    seen.add(each)
                continue
            if folder.endswith(_SHARD):
                raise DataError(f"{self.url(folder)}: {reason}")
            raise DataError(
                f"{self.url(folder)}: the server has no page that lists this folder ({reason});"
                " name the shards, such as data.train=URL/train-{00000..00099}.tfrecord"
            )
        return found

    def _links(self, folder: str) -> list[tuple[str, bool]]:
        """Returns what a folder's page links to within the folder, and whether it is a folder."""
        page = self._tried(folder, lambda store: self._obstore.get(store, folder).bytes())
        parser = _Links()
        parser.feed(bytes(page).decode("utf-8", "replace"))
        base = f"{self.url(folder)}/" if folder else f"{self.root}/"
        found = []
        for link in parser.found:
            try:
                target = urljoin(base, link)
            except ValueError:
                continue
            if target.startswith(base) and not {"?", "#"} & set(target):
                below = unquote(urlsplit(target).path).strip("/")
                if ".." not in below.split("/") and below != folder:
                    found.append((below, target.endswith("/")))
        return found

    def _require_same(self, key: str, expected: Version, found: Version) -> None:
        if found != expected:
            how = _difference(expected, found)
            raise DataError(
                f"{self.url(key)}: the file changed after it was opened ({how}); start again with"
                " the data left alone"
            )

    def _tried(self, key: str, work: Callable[[Any], T]) -> T:
        """Does a request until it succeeds, or often enough.

        Raises `_Missing` where there is nothing, and `DataError` with the file, how often it was
        tried and why. Neither keeps the store's own error, which has secrets in it.
        """
        store, patience, began = self._store(key), PATIENCE, time.monotonic()
        for tries in range(1, patience.tries + 1):
            reason, again = "", False
            try:
                return work(store)
            except (self._obstore.exceptions.BaseError, OSError, EOFError) as error:
                missing, reason, again = self._why(error)
            if missing:
                raise _Missing(reason)
            if not again:
                raise DataError(f"{self.url(key)}: cannot be read: {reason}")
            if tries < patience.tries:
                patience.wait(tries)
        raise DataError(
            f"{self.url(key)}: cannot be read: {reason}; tried {patience.tries} times in"
            f" {time.monotonic() - began:.0f} s. What is done is kept: the same command goes on"
            " from there"
        )

    def _why(self, error: Exception) -> tuple[bool, str, bool]:
        """Says why a request failed, in words of our own.

        Returns whether the file is not there, the reason, and whether trying again may help.
        """
        kinds = self._obstore.exceptions
        if isinstance(error, kinds.NotFoundError | FileNotFoundError):
            return True, "there is no such file", False
        if isinstance(error, kinds.PermissionDeniedError):
            return True, f"the server forbids it (403){_credentials(self._scheme)}", False
        if isinstance(error, kinds.UnauthenticatedError):
            return True, f"the server wants credentials (401){_credentials(self._scheme)}", False
        if isinstance(error, kinds.NotSupportedError):
            return False, "the server does not serve parts of files (no range requests)", False
        text = str(error)
        status = _STATUS.search(text)
        if "UnexpectedRange" in text or (status and status[1] == "416"):
            return False, "the file is shorter than it was when it was opened", False
        if status:
            again = status[1].startswith("5") or status[1] in ("408", "425", "429")
            help_ = _credentials(self._scheme) if status[1] in ("401", "403") else ""
            return False, f"the server answered with status {status[1]}{help_}", again
        for sign, reason in _SIGNS.items():
            if sign in text:
                return False, reason, True
        if isinstance(error, EOFError):
            return False, "the connection ended in the middle", True
        return False, "the request failed", True

    def _store(self, key: str) -> Any:
        query = signed_query(self.url(key)) if self._is_http else ""
        with self._lock:
            if query not in self._stores:
                self._stores[query] = self._opened(query)
            return self._stores[query]

    def _opened(self, query: str) -> Any:
        stores = self._obstore.store
        client: dict[str, Any] = {
            "timeout": f"{PATIENCE.timeout:g}s",
            "connect_timeout": f"{min(PATIENCE.timeout, 10.0):g}s",
            "allow_http": True,  # who names such a server means it
        }
        options = {"client_options": client, "retry_config": {"max_retries": 0}}
        try:
            if self._is_http:
                header = authorization_for(self._host)
                if header:
                    client["default_headers"] = {"Authorization": header}
                return stores.HTTPStore(f"{self.root}{query and '?'}{query}", **options)
            kind = stores.S3Store if self._scheme == "s3" else stores.GCSStore
            return kind(self._host, **options)
        except (self._obstore.exceptions.BaseError, OSError, ValueError):
            pass
        raise DataError(
            f"{self.root}: what the environment says of its store (variables such as"
            f" {_VARIABLES.get(self._scheme, 'HTTPS_PROXY')}) is not valid"
        )


_SIGNS = {
    "ConnectionRefused": "nothing answers there (connection refused)",
    "dns error": "the host's name is not known",
    "ConnectionReset": "the connection was reset",
    "TimedOut": "the server did not answer in time",
    "IncompleteBody": "the connection ended in the middle",
    "IncompleteMessage": "the connection ended before an answer",
    "Interrupted": "the connection ended in the middle",
    "certificate": "the server's certificate is not valid",
    "kind: Connect": "no connection to the server can be made",
}
"""What is looked for in the errors of the library, and what it means."""

_VARIABLES = {"s3": "AWS_ENDPOINT_URL", "gs": "GOOGLE_APPLICATION_CREDENTIALS"}
_HELP = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for public data",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or GOOGLE_SKIP_SIGNATURE=true for public data",
}


def _credentials(scheme: str) -> str:
    variables = _HELP.get(scheme, "~/.netrc or DISTILLBENCH_SIGNED_URLS")
    return f"; credentials are those of {variables}"


def _version(meta: Any) -> Version:
    written: datetime = meta["last_modified"]
    etag = (meta["e_tag"] or "").strip('"')
    return Version(meta["size"], etag, max(0, int(written.timestamp())))


def _difference(expected: Version, found: Version) -> str:
    if expected.size != found.size:
        return f"it has {found.size} bytes now and had {expected.size}"
    return "its ETag is another" if expected.etag != found.etag else "it was written again"


class _Links(HTMLParser):
    """Gathers the targets of a page's links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _imported(root: str) -> ModuleType:
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError:
        pass
    else:
        return obstore
    raise DataError(f"reading {root} needs obstore: pip install 'distillbench[remote]'")
