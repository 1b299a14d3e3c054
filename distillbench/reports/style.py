"""How a method looks: a colour, a marker and a line of its own, the same in every figure.

The colours are those of Paul Tol's muted scheme (2021), which colour-blind readers tell apart, but
for the palest; markers and line styles repeat the distinction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

PALETTE = (
    *("#332288", "#CC6677", "#117733", "#AA4499"),
    *("#88CCEE", "#882255", "#999933", "#44AA99"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
LINES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Look:
    """A color, a marker and a style of line, as matplotlib names them."""

    color: str
    marker: str
    line: str


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """Gives every method a look that no other has, by its name.

    Each name has looks that it would rather have than others, in an order of its own. Of two
    methods that want the same one, the one that wants it more gets it, in whatever order they are
    named. Given all methods of the results, whichever of them a figure shows, a method keeps its
    look from figure to figure; and one that is added changes the looks of few others.
    """
    waiting = set(methods)
    given: dict[str, Look] = {}
    generation = 0
    while waiting:  # each generation gives away every color once
        free = set(range(len(PALETTE)))
        wishes = sorted((_rank(name, color), name, color) for name in waiting for color in free)
        for _, name, color in wishes:
            if name in waiting and color in free:
                waiting.remove(name)
                free.remove(color)
                given[name] = _look(color, generation)
        generation += 1
    return given


def _rank(name: str, color: int) -> bytes:
    """Orders a name's wishes, the same on every machine."""
    return hashlib.blake2b(f"{PALETTE[color]} {name}".encode(errors="replace")).digest()


def _look(color: int, generation: int) -> Look:
    """Makes the look of a color when it is given away again: the marker and the line move on.

    There are 11 markers to 8 colors and 4 lines to both, so 44 generations differ.
    """
    marker = MARKERS[(color + generation) % len(MARKERS)]
    return Look(PALETTE[color], marker, LINES[generation % len(LINES)])
