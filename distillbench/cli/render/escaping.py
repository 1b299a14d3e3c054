"""Names from data, files, plugins and results, written so that no reader takes them for anything but text."""

from __future__ import annotations

import unicodedata

_BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_KEPT = "\n\t"
_FORMULA = ("=", "+", "-", "@")
_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    **{character: "\\" + character for character in "&%$#_{}"},
}


def printable(text: str) -> str:
    """Returns a text without control characters; line ends and tabs stay, half a surrogate pair becomes `�`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text if _is_shown(c))


def one_line(text: str) -> str:
    """Returns a text that is `printable` and has no line ends, for a name within a sentence or a cell."""
    return " ".join(printable(text).split())


def _is_shown(character: str) -> bool:
    if character in _KEPT:
        return True
    return unicodedata.category(character) != "Cc" and character not in _BIDIRECTIONAL


def markdown(text: str) -> str:
    """Writes one cell of a GitHub table: no `|` of its own, no HTML, no line end."""
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def latex(text: str) -> str:
    """Writes one cell of a LaTeX table: every character that LaTeX would act on stands for itself."""
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def spreadsheet(cell: object) -> object:
    """Returns a cell of a CSV file that no spreadsheet takes for a formula; numbers stay numbers."""
    if not isinstance(cell, str):
        return cell
    text = one_line(cell)
    return "'" + text if text.startswith(_FORMULA) else text
