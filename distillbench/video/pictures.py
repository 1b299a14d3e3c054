"""Turns decoded frames into the pictures that a backbone takes: upright squares."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Square:
    """The centered square of a picture that is kept, and the size that it is scaled to.

    size: pixels of a side.
    crop: the square's side as a share of the shorter side of the picture.
    """

    size: int
    crop: float = 1.0


def square_of(
    frame: VideoFrame, square: Square, aspect: Fraction | None, reformatter: VideoReformatter
) -> Picture:
    """Returns the square of a frame as it is to be displayed: (3, S, S), red, green, blue.

    Scaled bicubically, and turned by the nearest multiple of 90 degrees to what the frame's display
    matrix says.

    aspect: width / height of a pixel; None for 1.
    """
    width, height = frame.width * float(aspect or 1), float(frame.height)
    scale = square.size / square.crop / min(width, height)
    wide, high = (max(square.size, round(side * scale)) for side in (width, height))
    scaled: Picture = np.asarray(
        reformatter.reformat(
            frame, width=wide, height=high, format="rgb24", interpolation="BICUBIC"
        ).to_ndarray(),
        np.uint8,
    )
    top, left = (high - square.size) // 2, (wide - square.size) // 2
    cut = scaled[top : top + square.size, left : left + square.size]
    # Not by `frame.side_data`: a frame whose side data were looked at is part of a reference
    # cycle, and PyAV 18 crashes when the garbage collector comes across one.
    turns = round(frame.rotation / 90)
    return np.ascontiguousarray(np.rot90(cut, turns).transpose(2, 0, 1))
