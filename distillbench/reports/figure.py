"""The style of figures, and how they are saved: as wide as the text columns that they span."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distillbench.errors import ConfigError
from distillbench.interfaces import Figure
from distillbench.storage import write_atomically

INCHES = {1: 3.4, 2: 7.0}
"""The width of a figure by the number of text columns that it spans."""

STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 220,
    "font.size": 8,
    "axes.titlesize": 8.5,
    "figure.titlesize": 8.5,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "distillbench",
}

_LETTERS = {1: 58, 2: 30}
"""How many letters of a legend fit beneath a figure of one text column, and beside one of two."""


def save(figure: Figure, paths: Sequence[Path], columns: int) -> None:
    """Draws a figure once and writes it to files, each a PNG or SVG as its name ends.

    columns: the text columns of a page that it spans, 1 or 2. Raises `ConfigError` where matplotlib
    is missing.
    """
    with drawn(figure, columns) as made:
        for path in paths:
            _write(made, path)


@contextmanager
def drawn(figure: Figure, columns: int) -> Iterator[Any]:
    """Draws a figure in the style of all figures, and closes it in the end."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        missing = "figures need matplotlib; pip install 'distillbench[plot]' brings it"
        raise ConfigError([missing]) from error
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with mpl.rc_context(STYLE):
        before = plt.get_fignums()
        try:
            yield figure.draw(plt, columns)
        finally:
            for number in set(plt.get_fignums()) - set(before):
                plt.close(number)


def _write(figure: Any, path: Path) -> None:
    """Writes a figure without the date and the version that would make two files of it differ."""
    kind = path.suffix[1:]
    fixed = {"Software": None} if kind == "png" else {"Date": None}
    write_atomically(path, lambda draft: figure.savefig(draft, format=kind, metadata=fixed))


def legend(figure: Any, handles: Sequence[Any], columns: int, beneath: int = 1) -> None:
    """Puts a legend beside what spans two text columns, and beneath what spans one.

    The labels are any text; they are shown as they are and wrapped. Of handles with the same label
    the first is shown.

    beneath: in how many columns.
    """
    place: dict[str, Any] = {"loc": "outside right center"}
    letters = _LETTERS[columns]
    if columns == 1:
        place = {"loc": "outside lower left", "ncols": beneath}
        letters //= beneath
    shown: dict[str, Any] = {}
    for handle in handles:
        shown.setdefault(str(handle.get_label()), handle)
    figure.legend([*shown.values()], [plain_words(label, letters) for label in shown], **place)


def plain_words(text: str, letters: int = 60) -> str:
    """Returns text that matplotlib shows as it is: no mathematics, no character without a shape.

    letters: after how many a line is wrapped.
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    shapes = get_font(findfont(FontProperties())).get_charmap()
    shown = "".join(
        character if ord(character) in shapes and _is_upright(character) else "?"
        for character in " ".join(text.split())
    )
    lines = textwrap.wrap(shown, letters) or ["?"]
    hidden = " " if lines[0].startswith("_") else ""  # to matplotlib such a label is none
    return hidden + "\n".join(lines).replace("$", r"\$")


def _is_upright(character: str) -> bool:
    """Tells characters that stand for themselves from those that act on others."""
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Mn", "Me")
