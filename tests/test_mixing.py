"""Which videos are mixed, and that the mixture is the formula's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distillbench.interfaces import NO_FRAME, Clips
from distillbench.mixing import Mixing, Mixup

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def clips_of(lengths: list[int], padded: int = 0) -> Clips:
    slots = max(lengths) + padded
    counts = torch.tensor(lengths)
    times = torch.arange(slots).expand(len(lengths), -1) * 3
    mask = torch.arange(slots) < counts[:, None]
    frames = torch.randn(len(lengths), slots, 4) * mask[:, :, None]
    return Clips(frames, counts, times.masked_fill(~mask, NO_FRAME), slots, counts + 100)


def by_hand(clips: Clips, partners: list[int], share: float) -> np.ndarray:
    """Mixes frame by frame, as one would read the formula."""
    frames, lengths = clips.frames.numpy(), clips.lengths.tolist()
    mixed = np.zeros((len(partners), *frames.shape[1:]), np.float32)
    for row, partner in enumerate(partners):
        for slot in range(lengths[row]):
            position = (slot + 0.5) / lengths[row]
            place = int(np.floor(position * lengths[partner] + 1e-9))
            mixed[row, slot] = share * frames[row, slot] + (1 - share) * frames[partner, place]
    return mixed


@given(LENGTHS, st.data(), st.floats(0, 1), st.integers(0, 3))
def test_frames_are_mixed_slot_by_slot_at_equal_relative_positions(
    lengths, data, share, padded
) -> None:
    clips = clips_of(lengths, padded)
    partners = data.draw(st.permutations(range(len(lengths))))
    mixed = Mixing(torch.tensor(partners), share).clips(clips)
    np.testing.assert_allclose(mixed.frames, by_hand(clips, partners, share), atol=1e-6)
    assert torch.equal(mixed.lengths, clips.lengths)
    assert torch.equal(mixed.times, clips.times)
    assert mixed.keys is not None
    assert torch.equal(mixed.keys, clips.keys)


def test_clips_of_equal_length_are_mixed_frame_by_frame() -> None:
    clips = clips_of([5, 5, 5])
    mixed = Mixing(torch.tensor([2, 0, 1]), 0.25).clips(clips)
    torch.testing.assert_close(mixed.frames, 0.25 * clips.frames + 0.75 * clips.frames[[2, 0, 1]])


def test_labels_are_mixed_alike() -> None:
    labels = torch.eye(3)
    mixed = Mixing(torch.tensor([1, 0, 2]), 0.7).values(labels)
    expected = torch.tensor([[0.7, 0.3, 0.0], [0.3, 0.7, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(mixed, expected)


@given(LENGTHS, st.data())
def test_some_rows_with_their_partners_give_those_rows_of_the_whole(lengths, data) -> None:
    clips, count = clips_of(lengths), len(lengths)
    whole = Mixing(torch.tensor(data.draw(st.permutations(range(count)))), 0.3)
    first = data.draw(st.integers(0, count - 1))
    rows = slice(first, data.draw(st.integers(first + 1, count)))
    needed, mixing = whole.of(rows)
    assert len(set(needed.tolist())) == len(needed) <= count
    some = Clips(clips.frames[needed], clips.lengths[needed], clips.times[needed], clips.slots)
    assert torch.equal(mixing.clips(some).frames, whole.clips(clips).frames[rows])
    assert torch.equal(mixing.clips(some).lengths, clips.lengths[rows])


def test_all_rows_need_no_others() -> None:
    needed, mixing = Mixing(torch.tensor([1, 2, 0]), 0.3).of(slice(0, 3))
    assert needed.tolist() == [0, 1, 2]
    assert mixing.partners.tolist() == [1, 2, 0]


@given(st.floats(1e-3, 1e3), st.integers(0, 5), st.integers(1, 40))
def test_partners_are_a_permutation_and_shares_are_shares(alpha, seed, videos) -> None:
    drawn = Mixup(alpha, seed, "student").drawn(torch.arange(videos) + 7, 2)
    assert sorted(drawn.partners.tolist()) == list(range(videos))
    assert 0.0 <= drawn.share <= 1.0


def test_a_draw_depends_on_seed_phase_epoch_and_batch_and_on_nothing_else() -> None:
    which = torch.arange(30, 46)

    def drawn(seed=1, phase="a", epoch=0, videos=which):
        mixing = Mixup(1.0, seed, phase).drawn(videos, epoch)
        return (*mixing.partners.tolist(), mixing.share)

    usual = drawn()
    torch.rand(5)
    assert drawn() == usual
    others = [drawn(seed=2), drawn(phase="b"), drawn(epoch=1), drawn(videos=which + 1)]
    assert len({usual, *others}) == 5


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_follow_the_beta_distribution(alpha) -> None:
    mixup = Mixup(alpha, 3, "student")
    shares = np.array([mixup.drawn(torch.tensor([n]), 0).share for n in range(2000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)
