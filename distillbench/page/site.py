"""The page as one file: everything is in it, and nothing in it can ask the network for more."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import html
import json
import string
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from distillbench.errors import ResultError
from distillbench.page.content import Content
from distillbench.storage import write_text

_SCRIPTS = (
    *("dom.js", "state.js", "data.js", "look.js", "board.js", "export.js"),
    *("charts.js", "cost.js", "budget.js", "learning.js", "run.js", "compare.js", "main.js"),
)
FILE = "index.html"
"""The one file that a site is."""


_MARK, _HEAD = b'content="distillbench page"', 4096


class _Template(string.Template):
    """A page with `{{name}}` where something is put in."""

    pattern = r"\{\{(?:(?P<named>[a-z]+)\}\}|(?P<braced>)(?P<escaped>)(?P<invalid>))"  # type: ignore[assignment]


def page_of(content: Content) -> str:
    """Makes the page of some content, which is in it, compressed: no name can end its element."""
    parts = {"board": content.board, "details": content.details}
    data = "\n".join(
        f'<script id="data-{name}" type="application/octet-stream">{_packed(part)}</script>'
        for name, part in parts.items()
    )
    return _page(content.title, data, "'none'")


def live_page(title: str) -> str:
    """Makes the page without content, which it asks of the server that it came from."""
    return _page(title, "", "'self'")


def write_site(content: Content, folder: Path) -> Path:
    """Writes the page into a folder, and returns its file; other files there are left alone.

    Raises `ResultError` where it cannot be written, or would replace a file that is no such page.
    """
    path = folder / FILE
    if path.exists() and not _is_page(path):
        raise ResultError(
            f"'{path}' was not made by distillbench page, and is left as it is; --out names"
            " another folder"
        )
    write_text(path, page_of(content))
    return path


def _is_page(path: Path) -> bool:
    """Tells whether a file is a page of ours, which may be replaced."""
    try:
        with path.open("rb") as file:
            return _MARK in file.read(_HEAD)
    except OSError:
        return False


def _page(title: str, data: str, connects: str) -> str:
    charts, script = chart_library(), _script()
    style = _static("page.css")
    policy = policy_of((charts, script), style, connects)
    return _Template(_static("page.html")).substitute(
        policy=html.escape(policy),
        title=html.escape(title),
        style=style,
        data=data,
        charts=charts,
        script=script,
    )


def policy_of(scripts: tuple[str, ...], style: str, connects: str) -> str:
    """Writes the page's Content-Security-Policy.

    Only these very scripts run, and only this style holds. connects: where scripts may connect
    to, `'none'` or `'self'`.
    """
    return (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; style-src {_hash(style)};"
        f" connect-src {connects}; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@functools.cache
def chart_library() -> str:
    """Returns Vega, Vega-Lite and Vega-Embed as one script that sets `vegaEmbed`."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return _in_script(bundle)


def _script() -> str:
    joined = "\n".join(_static(name) for name in _SCRIPTS)
    return _in_script(f'"use strict";\n(() => {{\n{joined}}})();')


def _in_script(text: str) -> str:
    """Checks that a script does not end its own element, or begin what HTML reads otherwise."""
    found = [end for end in ("</script", "<!--", "<script") if end in text.lower()]
    if found:
        raise ValueError(f"a script that holds {found[0]} cannot be put into a page")
    return text


@functools.cache
def _static(name: str) -> str:
    return (files("distillbench.page") / "static" / name).read_text(encoding="utf-8")


def as_json(part: Mapping[str, Any]) -> bytes:
    """Writes a part of the content as JSON."""
    return json.dumps(part, separators=(",", ":"), allow_nan=False).encode()


def _packed(part: Mapping[str, Any]) -> str:
    return base64.b64encode(gzip.compress(as_json(part), 9, mtime=0)).decode()
