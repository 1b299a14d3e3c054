"""A small server of the tests' own: files by HTTP with ranges, and a bucket as S3 and GCS speak it."""

from __future__ import annotations

import hashlib
import html
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "bucket"


class Server(ThreadingHTTPServer):
    """Serves a folder: at `/` as a web server does, at `/bucket/` as a bucket.

    requests: (method, path, range) of each that was answered or failed.
    sent: bytes of bodies.
    faults: what goes wrong with the next requests for files, one each: "500", "503", "429", "reset",
    "truncated", "slow" or "" for nothing.
    delay: seconds that each answer takes.
    gone_after: requests of parts of files that are answered; then every connection is reset.
    wants: what an Authorization header or the query must contain; else it is 403.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.requests: list[tuple[str, str, str]] = []
        self.sent = 0
        self.faults: list[str] = []
        self.delay = 0.0
        self.wants = ""
        self.etags = True
        self.times = True
        self.ranges = True
        self.lists = True
        self.is_gone = False
        self.gone_after = 10**9
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def of_files(self) -> list[tuple[str, str, str]]:
        """The requests of parts of files."""
        return [each for each in self.requests if each[2]]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: clients hang up on purpose."""


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    with Server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.is_gone = True
            server.shutdown()
            thread.join()


_HTML = {"Content-Type": "text/html; charset=utf-8"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path).strip("/")
        wanted = self.headers.get("Range", "")
        with self.server.lock:
            self.server.requests.append((self.command, self.path, wanted))
            fault = self.server.faults.pop(0) if wanted and self.server.faults else ""
            is_gone = self.server.is_gone or len(self.server.of_files()) > self.server.gone_after
        time.sleep(self.server.delay)
        if is_gone:  # connections that are open would be served still
            self._hang_up()
        elif self.server.wants and self.server.wants not in (
            self.headers.get("Authorization", "") + parts.query
        ):
            self._answer(403, b"you told me " + parts.query.encode())
        elif fault.isdigit():
            self._answer(int(fault), b"out of order")
        elif fault == "reset":
            self._hang_up()
        elif path == BUCKET and "list-type" in parts.query:
            self._list_bucket({name: each[0] for name, each in parse_qs(parts.query).items()})
        elif (self.server.folder / path.removeprefix(f"{BUCKET}/")).is_file():
            self._file(self.server.folder / path.removeprefix(f"{BUCKET}/"), wanted, fault)
        elif (self.server.folder / path).is_dir() and self.server.lists:
            self._page(self.server.folder / path)
        else:
            self._answer(404, b"not here")

    def _file(self, path: Path, wanted: str, fault: str) -> None:
        data = path.read_bytes()
        status = path.stat()
        headers = {}
        if self.server.etags:
            headers["ETag"] = f'"{hashlib.md5(data).hexdigest()}"'
        if self.server.times:
            headers["Last-Modified"] = formatdate(status.st_mtime, usegmt=True)
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
        code, body = 200, data
        if found and self.server.ranges:
            start, stop = int(found[1]), min(int(found[2]) + 1, len(data))
            if start >= len(data):
                self._answer(416, b"")
                return
            code, body = 206, data[start:stop]
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        if fault == "truncated":
            self._answer(code, body, headers, cut=len(body) // 2)
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(0.8)
        self._answer(code, body, headers)

    def _page(self, folder: Path) -> None:
        """Lists a folder as Apache and nginx do."""
        names = sorted(f"{each.name}{'/' if each.is_dir() else ''}" for each in folder.iterdir())
        links = "".join(f'<a href="{quote(each)}">{html.escape(each)}</a>\n' for each in names)
        self._answer(200, f'<a href="?C=N">Name</a> <a href="../">up</a>\n{links}'.encode(), _HTML)

    def _list_bucket(self, query: dict[str, str]) -> None:
        """Answers ListObjectsV2, one key a page, so that pages are followed."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        files = [path for path in self.server.folder.rglob("*") if path.is_file()]
        keys = sorted(path.relative_to(self.server.folder).as_posix() for path in files)
        keys = [key for key in keys if key.startswith(prefix)]
        if delimiter:
            keys = [key for key in keys if delimiter not in key[len(prefix) :]]
        after = query.get("continuation-token", "")
        keys = [key for key in keys if key > after]
        some = keys[:2]
        contents = "".join(self._entry(key) for key in some)
        more = (
            f"<NextContinuationToken>{escape(some[-1])}</NextContinuationToken>" if keys[2:] else ""
        )
        self._answer(
            200,
            f'<?xml version="1.0"?><ListBucketResult><Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix>'
            f"<KeyCount>{len(some)}</KeyCount><IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
            f"{contents}{more}</ListBucketResult>".encode(),
        )

    def _entry(self, key: str) -> str:
        path = self.server.folder / key
        written = time.strftime("%Y-%m-%dT%H:%M:%S.250Z", time.gmtime(path.stat().st_mtime))
        etag = hashlib.md5(path.read_bytes()).hexdigest()
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{written}</LastModified>"
            f'<ETag>"{etag}"</ETag><Size>{path.stat().st_size}</Size></Contents>'
        )

    def _answer(
        self, code: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None
    ) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
            with self.server.lock:
                self.server.sent += len(body[:cut])

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
