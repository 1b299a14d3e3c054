"""Where the frames of a video file are: in time, and in the order in which they are decoded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

Time = int
"""A presentation time, in the stream's own unit."""


_MOST = 200_000  # frames of one video


@dataclass(frozen=True)
class PacketAbout:
    """What is known of one packet before it is decoded.

    time: when its frame is shown.
    is_key: decoding can begin here, for frames that are shown from then on.
    is_shown: whether its frame is part of the video; others are decoded for the sake of later ones.
    sought_by: a time that a search for the packet is given, which may be before it is shown.
    """

    time: Time
    is_key: bool
    is_shown: bool = True
    sought_by: Time = 0


@dataclass(frozen=True)
class Stretch:
    """Packets that are decoded one after the other, for the frames at some times.

    first, last: numbers of packets, in the order of the file; decoding the first needs no other.
    """

    first: int
    last: int
    times: tuple[Time, ...]


class FrameIndex:
    """The packets of a video, in the order of the file, which is that of decoding.

    unit: seconds of one unit of time.
    keys: numbers of the packets where decoding can begin, ascending; key_at: by their times.
    times: of all frames that can be decoded and are shown, ascending.
    """

    def __init__(self, packets: Sequence[PacketAbout], unit: Fraction) -> None:
        """Raises `ValueError` where no packet has a frame that can be decoded and is shown."""
        self.packets, self.unit = packets, unit
        self.keys = [number for number, each in enumerate(packets) if each.is_key] or [0]
        self.key_at = {packets[key].time: key for key in self.keys if packets}
        self._place: dict[Time, int] = {}
        self._start: dict[Time, int] = {}
        self._note_places()
        self.times: Sequence[Time] = sorted(self._place)
        if not self.times:
            raise ValueError("it has no frame that can be decoded")

    def _note_places(self) -> None:
        """Notes each frame's packet, and where decoding must begin for it.

        Frames that follow a key frame in the file and are shown before it (of an open group of
        pictures) need the frames before that key frame.
        """
        keys, newest = self.keys, -1
        for number, packet in enumerate(self.packets):
            while newest + 1 < len(keys) and keys[newest + 1] <= number:
                newest += 1
            key = newest
            while key >= 0 and self.packets[keys[key]].time > packet.time:
                key -= 1
            if packet.is_shown and key >= 0:
                self._place[packet.time], self._start[packet.time] = number, keys[key]

    def at_rate(self, rate: Fraction) -> list[Time]:
        """Lists the frames that are on screen at 0, 1 / rate, 2 / rate, ... seconds.

        Seconds are counted from the first frame, up to the last; how long that one is shown is not
        known. A frame that is shown for longer occurs several times. Raises `ValueError` where
        there would be more than 200,000.
        """
        first, last = self.times[0], self.times[-1]
        count = int((last - first) * self.unit * rate) + 1
        if count > _MOST:
            seconds = float((last - first) * self.unit)
            raise ValueError(f"its timestamps span {seconds:,.0f} s, of which {count:,} frames")
        ticks = (first + int(number / (rate * self.unit)) for number in range(count))
        return [self.times[bisect_right(self.times, tick) - 1] for tick in ticks]

    def stretches(self, times: Iterable[Time]) -> Iterator[Stretch]:
        """Yields what must be decoded for the frames at some of `self.times`."""
        wanted = sorted(set(times), key=lambda time: (self._start[time], time))
        for first, group in groupby(wanted, key=self._start.__getitem__):
            of_group = tuple(group)
            yield Stretch(first, max(map(self._place.__getitem__, of_group)), of_group)
