"""Turns decoded frames into the pictures that a backbone takes: upright squares."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

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

    Scaled bicubically, with the frame's display matrix applied.

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
    return np.ascontiguousarray(upright(cut, frame).transpose(2, 0, 1))


def upright(picture: Picture, frame: VideoFrame) -> Picture:
    """Turns and mirrors a picture (H, W, 3) as the frame's display matrix says.

    The angle of a matrix is taken as the nearest multiple of 90 degrees.
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return picture
    # A point (x, y) is shown at (a x + c y, b x + d y), up to a shift.
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(a) + abs(d) < abs(b) + abs(c):
        picture, a, d = picture.swapaxes(0, 1), c, b
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
