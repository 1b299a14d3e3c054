"""The looks of methods as a browser draws them: shapes as paths, lines as dashes, two grounds."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping
from typing import Any

from distillbench.reports.style import Look

DARK = "#16181d"
"""The ground of the page where the reader prefers a dark one."""

_READABLE = 4.0


def drawn(look: Look) -> Mapping[str, Any]:
    """Describes a look: `color`, `dark` (the color on a dark ground), `shape`, `dash`.

    shape: a path within a square of side 2 around 0, as SVG and Vega take it.
    """
    return {
        "color": look.color,
        "dark": on_dark(look.color),
        "shape": _SHAPES[look.marker],
        "dash": _DASHES[look.line],
    }


def on_dark(color: str) -> str:
    """Returns a color that is lightened until it can be told from a dark ground."""
    red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    found = color
    while contrast(found, DARK) < _READABLE and light < 1:
        light = min(1.0, light + 0.02)
        channels = colorsys.hls_to_rgb(hue, light, saturation)
        found = "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)
    return found


def contrast(one: str, other: str) -> float:
    """Computes the contrast of two colors as WCAG 2 defines it, from 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _polygon(corners: int, turn: float) -> str:
    angles = [turn + 2 * math.pi * corner / corners for corner in range(corners)]
    return _path([(math.sin(a), -math.cos(a)) for a in angles])


def _path(points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.3g},{y:.3g}" for x, y in points) + "Z"


_PLUS = [
    *((-0.3, -1.0), (0.3, -1.0), (0.3, -0.3), (1.0, -0.3), (1.0, 0.3), (0.3, 0.3)),
    *((0.3, 1.0), (-0.3, 1.0), (-0.3, 0.3), (-1.0, 0.3), (-1.0, -0.3), (-0.3, -0.3)),
]
_HALF = math.sqrt(0.5)
_CROSS = [(_HALF * (x - y), _HALF * (x + y)) for x, y in _PLUS]

_SHAPES = {
    "o": "M0.9,0A0.9,0.9,0,1,1,-0.9,0A0.9,0.9,0,1,1,0.9,0Z",
    "s": _path([(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]),
    "^": _polygon(3, 0),
    "D": _polygon(4, 0),
    "v": _polygon(3, math.pi),
    "P": _path(_PLUS),
    "X": _path(_CROSS),
    "<": _polygon(3, -math.pi / 2),
    ">": _polygon(3, math.pi / 2),
    "p": _polygon(5, 0),
    "h": _polygon(6, 0),
    ".": "M0.5,0A0.5,0.5,0,1,1,-0.5,0A0.5,0.5,0,1,1,0.5,0Z",
}
"""The paths of matplotlib's markers."""

_DASHES: Mapping[str, list[int]] = {"-": [], "--": [6, 3], "-.": [6, 2, 1, 2], ":": [1, 2]}
