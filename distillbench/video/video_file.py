"""Reads chosen frames of a video file, and decodes no more than they need."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distillbench.errors import ConfigError, DataError
from distillbench.video.frame_index import FrameIndex, PacketAbout, Stretch, Time
from distillbench.video.pictures import Picture, Square, square_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

SUFFIXES = frozenset(
    [
        *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
        *(".mts", ".mxf", ".ogv", ".ts", ".webm", ".wmv"),
    ]
)
"""How the names of video files end."""

# A file is never taken for a list of other files or addresses, whatever it holds.
_FORMATS = (
    "3g2,3gp,asf,av1,avi,flv,gif,h264,hevc,ivf,m4a,m4v,matroska,mj2,mov,mp4,mpeg,mpegts,mpegvideo"
    ",mxf,nut,obu,ogg,webm"
)
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
_NEAR = 48  # packets, which are passed over faster than a file is sought in


class UnusableVideoError(DataError):
    """Says why a file's frames cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class VideoFile:
    """The frames of a video file that are on screen at so many moments a second.

    Frame n is what is shown n / rate seconds after the first frame. Moments are found by the
    timestamps of the file alone, whether or not its frames are evenly spaced.

    decoded: how many frames were decoded so far, those between the chosen ones included.
    """

    def __init__(
        self, path: str | os.PathLike[str], rate: Fraction = Fraction(1), *, threads: int = 1
    ) -> None:
        """Reads where the frames are, and decodes none if the file has timestamps.

        threads: of the decoder. Raises `UnusableVideoError`, a `DataError`, and `ConfigError` where
        the package that decodes is missing.
        """
        self.path, self._threads = os.fspath(path), threads
        self.decoded = 0
        with self._opened() as (container, stream):
            packets = _packets_about(container, stream)
            unit = Fraction(stream.time_base or 1)
        self._has_times = packets is not None
        if packets is None:
            packets, unit = self._counted()
        try:
            self._index = FrameIndex(packets, unit)
            self._times = self._index.at_rate(rate)
        except ValueError as error:
            raise UnusableVideoError(self.path, str(error)) from error

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self._times)

    def pictures(self, frames: Sequence[int], square: Square) -> Picture:
        """Decodes some frames: (F, 3, S, S), in the order in which they are given.

        Raises `UnusableVideoError` where one of them cannot be decoded.
        """
        pictures = np.empty((len(frames), 3, square.size, square.size), np.uint8)
        for numbers, part in self.in_parts(frames, square):
            pictures[numbers] = part
        return pictures

    def in_parts(
        self, frames: Sequence[int], square: Square
    ) -> Iterator[tuple[Sequence[int], Picture]]:
        """Decodes some frames, and yields each as soon as it is there.

        Yields places within `frames`, and the picture (3, S, S) that is at all of them.
        """
        places: dict[Time, list[int]] = {}
        for place, frame in enumerate(frames):
            places.setdefault(self._times[frame], []).append(place)
        left = dict(places)
        for time, picture in self._decoded(list(places), square):
            yield left.pop(time), picture
        if left:
            seconds = float((min(left) - self._index.times[0]) * self._index.unit)
            raise UnusableVideoError(self.path, f"its frame at {seconds:.2f} s cannot be decoded")

    def _decoded(self, times: Sequence[Time], square: Square) -> Iterator[tuple[Time, Picture]]:
        """Yields the pictures of the frames at some times, in any order."""
        from av.video.reformatter import VideoReformatter

        reformatter = VideoReformatter()
        with self._opened() as (container, stream):
            decoder = _Decoder(container, stream, self._index, in_order=not self._has_times)
            for stretch in self._index.stretches(times):
                for time, frame in decoder.frames(stretch):
                    if frame.is_corrupt:
                        raise UnusableVideoError(self.path, "a frame of it is damaged")
                    aspect = stream.sample_aspect_ratio
                    yield time, square_of(frame, square, aspect, reformatter)
                self.decoded += decoder.taken()

    def _counted(self) -> tuple[list[PacketAbout], Fraction]:
        """Counts the frames of a file that has no timestamps, for which all are decoded."""
        with self._opened() as (container, stream):
            rate = stream.average_rate or stream.guessed_rate
            if not rate:
                raise UnusableVideoError(self.path, "it has no timestamps and no frame rate")
            count = sum(1 for _ in container.decode(stream))
        self.decoded += count
        return [PacketAbout(number, number == 0) for number in range(count)], 1 / Fraction(rate)

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        """Opens the file; what goes wrong while it is open is an `UnusableVideoError`."""
        av = library()
        try:
            # With its protocol, so that no other one is read out of the name.
            name = f"file:{Path(self.path).absolute()}"
            with av.open(name, options=_OPTIONS, metadata_errors="replace") as container:
                stream = _video_stream(container)
                if stream is None:
                    raise UnusableVideoError(self.path, "it has no video that can be decoded")
                stream.codec_context.thread_count = self._threads
                stream.thread_type = "AUTO" if self._threads > 1 else "NONE"
                yield container, stream
        except av.FFmpegError as error:
            raise UnusableVideoError(self.path, f"it cannot be read: {error.strerror}") from error
        except (OSError, ValueError) as error:
            raise UnusableVideoError(self.path, f"it cannot be read: {error}") from error


def library() -> Any:
    """Imports the package that decodes; raises `ConfigError` where it is missing."""
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            ["reading video files needs PyAV: pip install 'distillbench[video]'"]
        ) from error
    av.logging.set_level(None)  # what it says of broken files is in the errors
    return av


def _video_stream(container: InputContainer) -> VideoStream | None:
    """Returns the first stream of moving pictures; one picture of a sound file is none."""
    from av.stream import Disposition

    for stream in container.streams.video:
        is_known = stream.codec_context is not None
        if is_known and not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def _packets_about(container: InputContainer, stream: VideoStream) -> list[PacketAbout] | None:
    """Looks at all packets; returns None where one does not say when its frame is shown."""
    found = []
    for packet in _packets(container, stream):
        if packet.pts is None:
            return None
        by = packet.pts if packet.dts is None else min(packet.dts, packet.pts)
        found.append(PacketAbout(packet.pts, packet.is_keyframe, not packet.is_discard, by))
    return found


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any]]:
    return (packet for packet in container.demux(stream) if packet.size)


class _Decoder:
    """Decodes stretches of an open file, which ascend."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, index: FrameIndex, *, in_order: bool
    ) -> None:
        self._container, self._stream, self._index = container, stream, index
        self._in_order = in_order  # frames have no times but their numbers
        self._coming = _packets(container, stream)
        self._next = 0
        self._taken = 0

    def taken(self) -> int:
        """Returns how many frames were decoded since it was asked last."""
        taken, self._taken = self._taken, 0
        return taken

    def frames(self, stretch: Stretch) -> Iterator[tuple[Time, VideoFrame]]:
        """Yields the frames of a stretch, each with the time that it was wanted for."""
        if self._in_order:
            yield from self._counted(stretch)
            return
        waiting = set(stretch.times)
        for frame in self._raw(stretch):
            self._taken += 1
            if frame.pts in waiting:
                waiting.remove(frame.pts)
                yield frame.pts, frame

    def _counted(self, stretch: Stretch) -> Iterator[tuple[Time, VideoFrame]]:
        for number, frame in enumerate(self._container.decode(self._stream)):
            self._taken += 1
            if number in stretch.times:
                yield number, frame
            if number == stretch.times[-1]:
                return

    def _raw(self, stretch: Stretch) -> Iterator[VideoFrame]:
        """Decodes a stretch from its first packet to its last, and no packet beside it."""
        context = self._stream.codec_context
        for packet in self._at(stretch):
            yield from context.decode(packet)
        yield from context.decode(None)  # those that the decoder holds back
        context.flush_buffers()

    def _at(self, stretch: Stretch) -> Iterator[Packet[Any]]:
        """Yields the packets of a stretch."""
        wanted = self._index.packets
        if not 0 <= stretch.first - self._next <= _NEAR:
            self._seek(stretch.first)
        for packet in self._coming:
            number = self._next
            if number == len(wanted) or packet.pts != wanted[number].time:
                raise ValueError("its packets come in another order the second time")
            self._next += 1
            if number >= stretch.first:
                yield packet
            if number == stretch.last:
                return

    def _seek(self, number: int) -> None:
        """Goes to a key packet, or to one before it."""
        for key in reversed(self._index.keys[: bisect_right(self._index.keys, number)]):
            self._container.seek(self._index.packets[key].sought_by, stream=self._stream)
            packets = _packets(self._container, self._stream)
            found = next((packet for packet in packets if packet.is_keyframe), None)
            at = self._index.key_at.get(found.pts) if found and found.pts is not None else None
            if found and at is not None and at <= number:
                self._coming, self._next = chain((found,), packets), at
                return
        raise ValueError("nothing can be found in it by its time")
