"""What is decoded for a frame begins at a key frame that it can be decoded from, and holds it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillbench.video.frame_index import FrameIndex, PacketAbout


@st.composite
def streams(draw: st.DrawFn) -> list[PacketAbout]:
    """Groups of pictures in decoding order, open ones too, with gaps in time."""
    packets: list[PacketAbout] = []
    time = draw(st.integers(-50, 1000))
    for group in range(draw(st.integers(1, 5))):
        times = []
        for _ in range(draw(st.integers(1, 8))):
            time += draw(st.integers(1, 90))
            times.append(time)
        leading = draw(st.integers(0, len(times) - 1)) if group else 0  # shown before the key frame
        key, others = times[leading], times[:leading] + times[leading + 1 :]
        packets.append(PacketAbout(key, True))
        packets += [
            PacketAbout(each, False, draw(st.integers(0, 9)) > 0)
            for each in draw(st.permutations(others))
        ]
    return packets


UNITS = st.sampled_from([Fraction(1, 25), Fraction(1, 1000), Fraction(1001, 30000)])


@given(packets=streams(), unit=UNITS, rate=st.fractions("1/7", 5, max_denominator=7))
def test_every_moment_has_the_frame_that_is_on_screen(
    packets: list[PacketAbout], unit: Fraction, rate: Fraction
) -> None:
    index = FrameIndex(packets, unit)
    shown = index.at_rate(rate)
    for tick, time in enumerate(shown):
        moment = index.times[0] + tick / rate / unit
        assert time == max(each for each in index.times if each <= moment)
    assert index.times[0] + len(shown) / rate / unit > index.times[-1]


@given(packets=streams(), data=st.data())
def test_stretches_begin_at_a_key_frame_and_hold_what_is_wanted(
    packets: list[PacketAbout], data: st.DataObject
) -> None:
    index = FrameIndex(packets, Fraction(1, 25))
    wanted = data.draw(st.lists(st.sampled_from(index.times)))
    stretches = list(index.stretches(wanted))
    assert sorted(time for each in stretches for time in each.times) == sorted(set(wanted))
    assert [each.first for each in stretches] == sorted({each.first for each in stretches})
    for each in stretches:
        inside = [packet.time for packet in packets[each.first : each.last + 1]]
        assert packets[each.first].is_key
        assert set(each.times) <= set(inside)
        assert packets[each.first].time <= min(each.times), "what comes before needs earlier frames"
        assert inside[-1] in each.times, "no more is decoded than what is wanted"


def test_frames_that_nothing_can_be_decoded_from_are_left_out() -> None:
    packets = [
        PacketAbout(5, True),
        PacketAbout(3, False),
        PacketAbout(4, False),
        PacketAbout(6, False),
    ]
    assert FrameIndex(packets, Fraction(1)).times == [5, 6]


def test_a_stream_without_key_frames_begins_at_its_first_packet() -> None:
    packets = [PacketAbout(time, False) for time in (0, 2, 1)]
    (stretch,) = FrameIndex(packets, Fraction(1)).stretches([1])
    assert (stretch.first, stretch.last) == (0, 2)


@pytest.mark.parametrize("packets", [[], [PacketAbout(0, True, is_shown=False)]])
def test_a_stream_without_frames_is_refused(packets: list[PacketAbout]) -> None:
    with pytest.raises(ValueError, match="no frame that can be decoded"):
        FrameIndex(packets, Fraction(1))


def test_timestamps_of_years_are_refused() -> None:
    index = FrameIndex([PacketAbout(0, True), PacketAbout(2**50, True)], Fraction(1))
    with pytest.raises(ValueError, match="its timestamps span"):
        index.at_rate(Fraction(1))
