"""The page that follows a folder of results while runs go on, for this machine alone."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from distillbench.analysis.loading import load
from distillbench.errors import ConfigError, DistillbenchError
from distillbench.interfaces import Metric
from distillbench.page.content import TITLE, Content
from distillbench.page.site import as_json, live_page

Warn = Callable[[str], object]

ADDRESS = "127.0.0.1"
_NAMES = (ADDRESS, "localhost")
_PARTS = ("board", "details")


class Followed:
    """Folders of results that are read again when a file in them has changed.

    They are read when somebody asks, so that a page that nobody looks at costs a sweep nothing.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        metrics: Mapping[str, Metric],
        warn: Warn,
        title: str = TITLE,
    ) -> None:
        """Reads the folders; raises `ResultError` where one does not exist."""
        self.title = title
        self._folders, self._metrics, self._warn = tuple(folders), metrics, warn
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._read_again(_stamps(folders))

    def part(self, name: str) -> tuple[bytes, str]:
        """Returns a part of the content as JSON, and the tag that it has until it changes."""
        with self._lock:
            stamps = _stamps(self._folders)
            if stamps != self._stamps:
                try:
                    self._read_again(stamps)
                except DistillbenchError as error:  # the folder is gone: what was read stays
                    self._tell(str(error))
            if name not in self._parts:
                made = as_json(getattr(self._content, name))
                self._parts[name] = made, f'"{hashlib.sha256(made).hexdigest()[:32]}"'
            return self._parts[name]

    def _read_again(self, stamps: object) -> None:
        found = load(self._folders, self._metrics)
        for reason in found.skipped:
            self._tell(f"skipped: {reason}")
        self._content = Content(found, self._tell, self.title)
        self._parts: dict[str, tuple[bytes, str]] = {}
        self._stamps = stamps

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._warn(text)


def _stamps(folders: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """Lists the files that results are read from, with what changes when one is replaced."""
    found = []
    for folder in folders:
        for path in sorted([*folder.glob("*.json"), *folder.glob("failures/*.json")]):
            try:
                about = path.stat()
            except OSError:  # removed meanwhile
                continue
            found.append((str(path), about.st_mtime_ns, about.st_size))
    return tuple(found)


class PageServer(ThreadingHTTPServer):
    """Serves the page to browsers of this machine."""

    daemon_threads = True

    def __init__(self, followed: Followed, port: int) -> None:
        """port: 0 takes a free one. Raises `ConfigError` where it is taken."""
        self.followed = followed
        self.page = live_page(followed.title).encode()
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            problem = f"port {port} cannot be used: {error.strerror}; --port names another"
            raise ConfigError([problem]) from error

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{ADDRESS}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    """Answers requests for the page and for its two parts."""

    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version = "distillbench"
    sys_version = ""

    def do_GET(self) -> None:
        """Answers one request."""
        if not self._is_for_us():
            # Another site's name that was made to point here would read what is local.
            self._send(HTTPStatus.FORBIDDEN, b"this page is for this machine alone", "text/plain")
            return
        path = self.path.partition("?")[0]
        if path in ("/", "/index.html"):
            self._send(HTTPStatus.OK, self.server.page, "text/html")
            return
        name = path.removeprefix("/").removesuffix(".json")
        if name in _PARTS and path == f"/{name}.json":
            self._send_part(name)
        else:
            self._send(HTTPStatus.NOT_FOUND, b"there is nothing of that name", "text/plain")

    def _is_for_us(self) -> bool:
        host, _, port = self.headers.get("Host", "").partition(":")
        return host.lower() in _NAMES and port in (str(self.server.server_port), "")

    def _send_part(self, name: str) -> None:
        try:
            content, tag = self.server.followed.part(name)
        except Exception as error:
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, str(error).encode(), "text/plain")
            raise
        if self.headers.get("If-None-Match") == tag:
            self._send(HTTPStatus.NOT_MODIFIED, b"", "application/json", tag)
        else:
            self._send(HTTPStatus.OK, content, "application/json", tag)

    def _send(self, status: HTTPStatus, content: bytes, kind: str, tag: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Prints nothing: a page that polls would fill the terminal."""
