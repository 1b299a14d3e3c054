from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from running import built
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from distillbench.errors import ConfigError
from distillbench.interfaces import NO_FRAME, Clips, Encoder, Encoding, States
from distillbench_plugins.encoders.hrnn import StudentHRNN, TeacherHRNN

WIDTH, CELL = 6, 8


def clips(
    lengths: list[int], slots: int | None = None, dtype: torch.dtype = torch.float32
) -> Clips:
    longest = max(lengths)
    frames = torch.randn(len(lengths), longest, WIDTH, dtype=dtype)
    real = torch.arange(longest) < torch.tensor(lengths)[:, None]
    times = torch.arange(longest).expand(len(lengths), -1).masked_fill(~real, NO_FRAME)
    return Clips(frames * real[:, :, None], torch.tensor(lengths), times, slots or longest)


def alone(batch: Clips, video: int) -> Clips:
    length = int(batch.lengths[video])
    rows = slice(video, video + 1)
    return Clips(
        batch.frames[rows, :length], batch.lengths[rows], batch.times[rows, :length], batch.slots
    )


def states_of(encoding: Encoding) -> States:
    (states,) = encoding.states.values()
    return states


def as_the_paper_says(encoder: TeacherHRNN, frames: Tensor, block: int) -> Tensor:
    """One video (N, D), with nn.LSTM's own cells, block by block."""

    def plain(ours: nn.Module, width: int) -> nn.LSTM:
        lstm = nn.LSTM(width, CELL, 2).to(frames.dtype)
        for layer in range(2):
            for name in ("weight_ih", "weight_hh"):
                getattr(lstm, f"{name}_l{layer}").data = ours.get_parameter(f"{name}_l{layer}").data
            getattr(lstm, f"bias_ih_l{layer}").data = ours.get_parameter(f"bias_l{layer}").data
            getattr(lstm, f"bias_hh_l{layer}").data.zero_()
        return lstm

    def code(lstm: nn.LSTM, steps: Tensor) -> Tensor:
        _, (hidden, cell) = lstm(steps)
        return torch.cat([cell[0], hidden[0], cell[1], hidden[1]])

    lower, higher = plain(encoder.rnn.lower, WIDTH), plain(encoder.rnn.higher, 4 * CELL)
    return code(higher, torch.stack([code(lower, part) for part in frames.split(block)]))


def test_the_encoding_is_the_papers_c1_h1_c2_h2_of_an_lstm_over_block_codes() -> None:
    encoder, batch = (
        built(TeacherHRNN, WIDTH, cell_size=CELL).double(),
        clips([41, 7, 20], dtype=torch.float64),
    )
    summary = encoder(batch).summary
    for video in range(3):
        one = alone(batch, video).frames[0]
        torch.testing.assert_close(summary[video], as_the_paper_says(encoder, one, 20))


@pytest.mark.parametrize(
    ("slots", "block"), [(6, 3), (10, 5), (15, 5), (20, 5), (30, 5), (7, 3), (1, 3)]
)
def test_a_students_blocks_hold_five_frames_where_k_divides_by_five_and_three_elsewhere(
    slots: int, block: int
) -> None:
    batch = clips([slots, 1])
    torch.manual_seed(0)
    by_rule = built(StudentHRNN, WIDTH, cell_size=CELL)
    torch.manual_seed(0)
    by_knob = built(StudentHRNN, WIDTH, cell_size=CELL, block_length=block)
    assert torch.equal(by_rule(batch).summary, by_knob(batch).summary)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    block_length=st.integers(1, 6),
    state=st.sampled_from(["concat", "top"]),
    rubbish=st.sampled_from([float("nan"), float("inf"), 1e30]),
)
def test_padding_is_never_seen_and_a_clip_is_encoded_as_if_alone(
    lengths: list[int], block_length: int, state: str, rubbish: float
) -> None:
    encoder = built(
        TeacherHRNN, WIDTH, cell_size=CELL, block_length=block_length, state=state
    ).double()  # type: ignore[arg-type]
    batch = clips(lengths, dtype=torch.float64)
    encoding = encoder(batch, with_states=True)
    padded = torch.cat([batch.frames, torch.zeros(len(lengths), 2, WIDTH, dtype=torch.float64)], 1)
    times = torch.nn.functional.pad(batch.times, (0, 2), value=NO_FRAME)
    spoilt = padded.masked_fill((times == NO_FRAME)[:, :, None], rubbish)
    again = encoder(replace(batch, frames=spoilt, times=times))
    assert torch.equal(encoding.summary, again.summary)
    for video, length in enumerate(lengths):
        single = encoder(alone(batch, video), with_states=True)
        torch.testing.assert_close(encoding.summary[video], single.summary[0])
        torch.testing.assert_close(
            states_of(encoding).values[video, :length], states_of(single).values[0]
        )
        assert not states_of(encoding).values[video, length:].any()


def test_states_are_the_lower_lstms_after_every_frame_each_block_starting_anew() -> None:
    encoder, batch = built(TeacherHRNN, WIDTH, cell_size=CELL, block_length=4), clips([10])
    encoding = encoder(batch, with_states=True)
    assert torch.equal(states_of(encoding).times, batch.times)
    block = encoder.rnn.lower(batch.frames[0, 4:7], [1, 1, 1])
    expected = torch.cat([part for layer in block for part in layer], 1)
    torch.testing.assert_close(states_of(encoding).values[0, 4:7], expected)


def test_states_are_made_only_when_asked_for() -> None:
    encoding = built(TeacherHRNN, WIDTH, cell_size=CELL)(clips([3]))
    assert not encoding.states


def test_the_top_state_is_the_last_layers_hidden_state() -> None:
    torch.manual_seed(3)
    both = built(TeacherHRNN, WIDTH, cell_size=CELL)
    top = built(TeacherHRNN, WIDTH, cell_size=CELL, state="top")
    batch = clips([5])
    assert both(batch).summary.shape == (1, 4 * CELL)
    assert top(batch).summary.shape == (1, CELL)


def test_a_block_count_cuts_every_video_by_its_own_length() -> None:
    torch.manual_seed(0)
    by_count = built(TeacherHRNN, WIDTH, cell_size=CELL, block_count=5)
    torch.manual_seed(0)
    by_length = built(TeacherHRNN, WIDTH, cell_size=CELL, block_length=3)
    batch = clips([15, 11])
    torch.testing.assert_close(by_count(batch).summary, by_length(batch).summary)
    short = clips([4, 15])
    assert not torch.allclose(by_count(short).summary[0], by_length(short).summary[0])
    torch.testing.assert_close(by_count(short).summary[1], by_length(short).summary[1])


@pytest.mark.parametrize("kept", [4, 7, 10])
def test_zero_slots_make_padding_part_of_the_video_and_clamp_longer_ones(kept: int) -> None:
    torch.manual_seed(0)
    slotted = built(TeacherHRNN, WIDTH, cell_size=CELL, block_length=3, zero_slots=7)
    torch.manual_seed(0)
    masked = built(TeacherHRNN, WIDTH, cell_size=CELL, block_length=3)
    batch = clips([kept])
    frames = torch.zeros(1, 7, WIDTH)
    frames[:, : min(kept, 7)] = batch.frames[:, :7]
    seven = replace(clips([7]), frames=frames)
    torch.testing.assert_close(slotted(batch).summary, masked(seven).summary)


def test_minus_one_zero_slots_are_as_many_as_the_selector_was_asked_for() -> None:
    encoder = built(StudentHRNN, WIDTH, cell_size=CELL, zero_slots=-1, block_count=5)
    encoding = encoder(clips([4, 2], slots=10), with_states=True)
    assert states_of(encoding).values.shape[1] == 10
    assert states_of(encoding).times[1].tolist() == [0, 1] + [NO_FRAME] * 8


@pytest.mark.parametrize("place", ["input", "layers", "summary"])
def test_dropout_acts_where_it_is_placed_and_in_training_alone(place: str) -> None:
    encoder = built(TeacherHRNN, WIDTH, cell_size=CELL, dropout=0.5, dropout_place=place)
    batch = clips([9])
    first, second = encoder(batch).summary, encoder(batch).summary
    assert not torch.equal(first, second)
    assert bool((first == 0).any()) == (place == "summary")
    encoder.eval()
    assert torch.equal(encoder(batch).summary, encoder(batch).summary)


def test_every_weight_learns_from_a_video_of_several_blocks() -> None:
    encoder = built(TeacherHRNN, WIDTH, cell_size=CELL, block_length=3)
    encoder(clips([7, 2])).summary.sum().backward()
    assert all(
        weight.grad is not None and bool(weight.grad.any()) for weight in encoder.parameters()
    )


def test_the_input_is_left_as_it_was() -> None:
    batch = clips([5, 3])
    before = batch.frames.clone()
    built(StudentHRNN, WIDTH, cell_size=CELL, zero_slots=8)(batch)
    assert torch.equal(batch.frames, before)


def test_autocast_gives_a_float32_summary_near_the_exact_one() -> None:
    encoder, batch = built(StudentHRNN, WIDTH, cell_size=CELL), clips([10, 4])
    with torch.autocast("cpu", torch.bfloat16):
        summary = encoder(batch).summary
    assert summary.dtype == torch.float32
    torch.testing.assert_close(summary, encoder(batch).summary, atol=0.02, rtol=0.1)


def macs(encoder: Encoder, frames: int) -> int:
    batch = Clips(
        torch.empty(1, frames, 1152, device="meta"),
        torch.tensor([frames]),
        torch.arange(frames)[None],
        frames,
    )
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder(batch)
    return int(counter.get_total_flops()) // 2


def closed_form(frames: int, block: int) -> int:
    width, cell = 1152, 1024
    lower = frames * ((width + cell) * 4 * cell + (cell + cell) * 4 * cell)
    return lower + -(-frames // block) * ((4 * cell + cell) * 4 * cell + (cell + cell) * 4 * cell)


def test_macs_at_the_papers_size_equal_the_closed_form() -> None:
    with torch.device("meta"):
        teacher, student = TeacherHRNN(1152), StudentHRNN(1152)
    assert macs(teacher, 300) == closed_form(300, 20)
    for k, block in ((6, 3), (10, 5), (15, 5), (20, 5), (30, 5)):
        assert macs(student, k) == closed_form(k, block)


def test_the_published_convention_gives_the_digits_of_table_4() -> None:
    with torch.device("meta"):
        teacher, student = TeacherHRNN(1152), StudentHRNN(1152)
    assert teacher.published_macs(1, 1024) == 16_807_936
    assert f"{teacher.published_macs(300, 1024) / 1e9:.3f}" == "5.042"
    assert [f"{student.published_macs(n, 1024) / 1e9:.3f}" for n in (30, 15, 9)] == [
        "0.504",
        "0.252",
        "0.151",
    ]


def test_knobs_that_cannot_be_are_refused_all_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        built(TeacherHRNN, WIDTH, cell_size=0, dropout=1.0, block_length=2, block_count=2)
    assert len(refused.value.problems) == 3
    assert "cell_size=0" in str(refused.value)
