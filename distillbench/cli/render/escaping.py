"""Escapes names from data, files, plugins and results, so that every reader takes them as text."""

from __future__ import annotations

import re

# These marks reorder the text around them, so that a name could look like another one.
_BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# All of Unicode's category Cc but line ends and tabs.
_REMOVED = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDIRECTIONAL}]")
_HALF_PAIRS = re.compile("[\ud800-\udfff]")
_FORMULA_STARTS = ("=", "+", "-", "@")
_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    **{character: "\\" + character for character in "&%$#_{}"},
}


def printable(text: str) -> str:
    """Removes control characters from a text, except line ends and tabs.

    Characters that change the direction of writing are removed too. Half a surrogate pair, which
    cannot be encoded, becomes U+FFFD.
    """
    if text.isascii() and text.isprintable():
        return text
    return _HALF_PAIRS.sub("\ufffd", _REMOVED.sub("", text))


def one_line(text: str) -> str:
    """Returns a `printable` text without line ends, for a sentence or a cell of a table."""
    return " ".join(printable(text).split())


def markdown(text: str) -> str:
    """Escapes the text of one cell of a GitHub table: no column separator, no HTML, no line end."""
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def latex(text: str) -> str:
    """Escapes the text of one cell of a LaTeX table: every character stands for itself."""
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def spreadsheet(cell: object) -> object:
    """Escapes a cell of a CSV file that a spreadsheet would read as a formula.

    Anything but text is returned as it is.
    """
    if not isinstance(cell, str):
        return cell
    text = one_line(cell)
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
