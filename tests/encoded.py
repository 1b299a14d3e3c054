"""Encodes video files whose frames show their own number, and reads such numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIDE, CELL, BITS = 64, 16, 12
UPRIGHT = (True, False, False, False)  # the last row of cells, which tells how a picture is turned
FRAMES = 120


def painted(number: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) of 4 x 4 cells: the bits of a number, and a row that tells where up is."""
    bits = [bool(number >> bit & 1) for bit in range(BITS)] + list(UPRIGHT)
    cells = np.where(np.array(bits).reshape(4, 4), 235, 20).astype(np.uint8)
    return np.repeat(cells.repeat(CELL, 0).repeat(CELL, 1)[:, :, None], 3, 2)


def number_in(picture: NDArray[np.uint8]) -> int:
    """The number in a picture (3, H, W) of that size; -1 where it is turned."""
    cells = picture.mean(0).reshape(4, CELL, 4, CELL)[:, 4:12, :, 4:12].mean((1, 3)) > 128
    *bits, a, b, c, d = cells.ravel().tolist()
    return sum(bit << place for place, bit in enumerate(bits)) if (a, b, c, d) == UPRIGHT else -1


@dataclass(frozen=True)
class Encoding:
    """How a file is encoded. times: of its frames, in `unit`; every 1 / 25 s where it is None."""

    suffix: str = ".mp4"
    codec: str = "libx264"
    options: Mapping[str, str] = field(default_factory=dict)
    times: Sequence[int] | None = None
    unit: Fraction = Fraction(1, 25)
    turned: int = 0
    gop: int = 0

    def seconds(self, frames: int = FRAMES) -> list[Fraction]:
        """When each frame is shown, from the first on."""
        times = range(frames) if self.times is None else self.times
        return [(time - times[0]) * self.unit for time in times][:frames]


def x264(parameters: str, **how: object) -> Encoding:
    return Encoding(options={"x264-params": parameters}, **how)  # type: ignore[arg-type]


_UNEVEN = np.cumsum(np.random.default_rng(0).integers(1, 400, FRAMES)).tolist()

ENCODINGS = {
    "constant rate": x264("bframes=0:keyint=50"),
    "variable rate": Encoding(times=_UNEVEN, unit=Fraction(1, 1000)),
    "B-frames": x264("bframes=5:b-pyramid=normal:keyint=60:scenecut=0"),
    "open GOP": x264("open-gop=1:bframes=4:keyint=24:min-keyint=24:scenecut=0"),
    "offset start": Encoding(
        ".ts",
        options={"x264-params": "keyint=30"},
        times=[12_340 + 40 * number for number in range(FRAMES)],
        unit=Fraction(1, 1000),
    ),
    "webm": Encoding(
        ".webm",
        "libvpx-vp9",
        {
            "deadline": "realtime",
            "cpu-used": "8",
            "auto-alt-ref": "1",
            "lag-in-frames": "16",
            "crf": "30",
        },
        gop=40,
    ),
    "rotated": x264("keyint=30", turned=90),
}
"""The seven that distillbench promises to read exactly."""


def encode(path: Path, how: Encoding, pictures: Sequence[NDArray[np.uint8]] | None = None) -> Path:
    """Writes pictures (H, W, 3) of one size, or `FRAMES` painted ones, to path + suffix."""
    import av

    shown = [painted(number) for number in range(FRAMES)] if pictures is None else pictures
    stored = [np.ascontiguousarray(np.rot90(each, -how.turned // 90)) for each in shown]
    path = path.with_name(path.name + how.suffix)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(how.codec, rate=25, options=dict(how.options))
        stream.height, stream.width = stored[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = how.unit
        stream.codec_context.thread_count = 1
        if how.gop:
            stream.codec_context.gop_size = how.gop
        if how.turned:
            stream.set_display_rotation(how.turned)
        for number, picture in enumerate(stored):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number if how.times is None else how.times[number]
            frame.time_base = how.unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decoded(path: Path) -> list[tuple[Fraction, int]]:
    """Decodes every frame, without distillbench: when it is shown, and its number."""
    import av

    with av.open(str(path)) as container:
        frames = [
            (
                frame.pts * frame.time_base,
                np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90),
            )
            for frame in container.decode(video=0)
        ]
    first = min(time for time, _ in frames)
    return sorted((time - first, number_in(each.transpose(2, 0, 1))) for time, each in frames)


def shown_at(frames: Sequence[tuple[Fraction, int]], rate: Fraction) -> list[int]:
    """The numbers that are on screen at 0, 1 / rate, 2 / rate, ... seconds."""
    count = int(frames[-1][0] * rate) + 1
    return [[number for time, number in frames if time <= tick / rate][-1] for tick in range(count)]
