"""Selectors that look at frames: what they choose, against plain formulas and every choice."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from plugins.selector_rows import AUDIO, FRAMES, WIDTH, cost_of_a_run

from distillbench.errors import ConfigError
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector
from distillbench_plugins.selectors.audio_preview import AudioPreview
from distillbench_plugins.selectors.farthest_point import FarthestPoint
from distillbench_plugins.selectors.k_medoids import KMedoids
from distillbench_plugins.selectors.motion import Motion

Array = NDArray[Any]
Maker = Callable[..., FrameSelector]
EVERY: list[Maker] = [Motion, FarthestPoint, KMedoids]


def clips_of(videos: list[Array]) -> Clips:
    """Decoded clips of all frames of these videos."""
    lengths = torch.tensor([len(video) for video in videos])
    frames = torch.zeros(len(videos), int(lengths.max()), videos[0].shape[1])
    for row, video in zip(frames, videos, strict=True):
        row[: len(video)] = torch.from_numpy(video)
    times = torch.arange(frames.shape[1]).expand(len(videos), -1)
    return Clips(
        frames, lengths, times.masked_fill(times >= lengths[:, None], NO_FRAME), int(lengths.max())
    )


def kept(selector: FrameSelector, videos: list[Array], training: bool = False) -> list[list[int]]:
    """The frames kept of each video; it is shown every `scan_stride`-th."""
    whole, stride = clips_of(videos), selector.scan_stride
    numbers = torch.arange(0, whole.frames.shape[1], stride).expand(len(videos), -1)
    scanned = whole.take(numbers.masked_fill(numbers >= whole.lengths[:, None], NO_FRAME))
    generator = ClipGenerator(torch.arange(len(videos)))
    index = selector.select(whole.lengths, scanned, generator, training)
    return [[frame for frame in row if frame != NO_FRAME] for row in index.tolist()]


def drawn(length: int, seed: int = 0, width: int = 3) -> Array:
    return np.random.default_rng(seed).standard_normal((length, width)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    make=st.sampled_from(EVERY),
    k=st.integers(1, 12),
    stride=st.integers(1, 4),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    distinct=st.integers(1, 20),
)
def test_k_distinct_frames_are_kept_or_all_where_there_are_fewer_even_of_equal_frames(
    make: Maker, k: int, stride: int, lengths: list[int], distinct: int
) -> None:
    videos = [drawn(20, seed)[np.arange(n) % distinct] for seed, n in enumerate(lengths)]
    for frames, length in zip(kept(make(k, stride=stride), videos), lengths, strict=True):
        assert len(frames) == min(k, length)
        assert frames == sorted(set(frames))
        assert 0 <= frames[0] <= frames[-1] < length


# ---------------------------------------------------------------------------------------- motion


def along_motion(video: Array, k: int, mu: float, marks: list[float]) -> list[int]:
    """MGSampler's rule, one frame after the other; equal frames give way to later ones."""
    motion = [0.0] + [float(np.abs(b - a).sum()) for a, b in pairwise(video)]
    powers = [0.0] + [m**mu for m in motion[1:]]
    shares = np.cumsum(powers) / np.sum(powers)
    found: list[int] = []
    for place, mark in enumerate(marks):
        frame = next(t for t in range(len(video)) if shares[t] >= mark)
        least = found[-1] + 1 if found else 0
        found.append(min(max(frame, least), len(video) - (k - place)))
    return found


@settings(max_examples=60, deadline=None)
@given(
    k=st.integers(1, 8),
    length=st.integers(9, 40),
    mu=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
    seed=st.integers(0, 99),
)
def test_motion_takes_the_frames_that_reach_the_centers_of_equal_shares(
    k: int, length: int, mu: float, seed: int
) -> None:
    video = drawn(length, seed)
    centers = [(part + 0.5) / k for part in range(k)]
    expected = along_motion(video.astype(np.float64), k, mu, centers)
    assert kept(Motion(k, mu=mu), [video]) == [expected]


def test_frames_are_dense_where_a_video_moves_and_uniform_where_mu_is_0_or_nothing_moves() -> None:
    still = np.zeros((21, 2), np.float32)
    moving = still.copy()
    moving[10:15] = np.arange(5)[:, None] + 1.0
    moving[15:] = 5.0
    assert kept(Motion(5, mu=1.0), [moving]) == [[10, 11, 12, 13, 14]]
    assert kept(Motion(5, mu=0.0), [moving]) == [[2, 6, 10, 14, 18]]
    assert kept(Motion(5, mu=1.0), [still]) == [[2, 6, 10, 14, 18]]


def test_motion_between_scanned_frames_is_interpolated() -> None:
    video = np.zeros((13, 1), np.float32)
    video[5:] = 1.0  # between the scanned frames 4 and 8
    assert kept(Motion(2, stride=4), [video]) == [[5, 7]]


def test_jitter_draws_one_point_of_each_part_in_training_alone() -> None:
    videos = [drawn(200, 5)] * 6
    jittered = Motion(4, mu=0.0, jitter=True)
    training = kept(jittered, videos, training=True)
    assert len({tuple(row) for row in training}) > 1
    assert kept(jittered, videos, training=True) == training
    for row in training:
        assert [min(3, int((frame - 1) / 199 * 4)) for frame in row] == [0, 1, 2, 3]
    assert kept(jittered, videos) == kept(Motion(4, mu=0.0), videos, training=True)


# ----------------------------------------------------------------- farthest points, and medoids


def apart(video: Array) -> Array:
    wide = video.astype(np.float64)
    found: Array = np.sqrt(((wide[:, None] - wide[None]) ** 2).sum(2))
    return found


@settings(max_examples=50, deadline=None)
@given(k=st.integers(1, 4), length=st.integers(5, 9), seed=st.integers(0, 200))
def test_farthest_points_are_greedy_and_within_twice_the_best_cover(
    k: int, length: int, seed: int
) -> None:
    video = drawn(length, seed)
    distances = apart(video)
    greedy = [0]
    while len(greedy) < k:
        nearest = distances[:, greedy].min(1)
        greedy.append(int(nearest.argmax()))
    found = kept(FarthestPoint(k), [video])[0]
    assert found == sorted(greedy)

    def cover(centers: Any) -> float:
        return float(distances[:, list(centers)].min(1).max())

    assert cover(found) <= 2 * min(map(cover, combinations(range(length), k))) + 1e-9


def test_farthest_points_find_each_of_k_scenes_once() -> None:
    scenes = np.eye(4, dtype=np.float32)[[0] * 20 + [1] * 3 + [2] * 2 + [3] * 15]
    assert kept(FarthestPoint(4), [scenes]) == [[0, 20, 23, 25]]


@settings(max_examples=50, deadline=None)
@given(k=st.integers(1, 4), length=st.integers(5, 9), seed=st.integers(0, 200))
def test_no_frame_of_a_medoids_cluster_is_more_central_and_none_is_nearer_to_another(
    k: int, length: int, seed: int
) -> None:
    video = drawn(length, seed)
    distances = apart(video)
    medoids = kept(KMedoids(k, iterations=100), [video])[0]
    cluster = distances[:, medoids].argmin(1)
    for number, medoid in enumerate(medoids):
        members = np.flatnonzero(cluster == number)
        sums = distances[np.ix_(members, members)].sum(1)
        assert sums[list(members).index(medoid)] <= sums.min() + 1e-9


def test_medoids_find_clusters_and_begin_at_equal_distances() -> None:
    places = np.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2, 9.0, 9.1, 9.2], np.float32)[:, None]
    assert kept(KMedoids(3), [places]) == [[1, 4, 7]]
    assert kept(KMedoids(3, iterations=0), [places]) == [[0, 3, 6]]


# ----------------------------------------------------------------------------------- audio-preview


def previewed(selector: AudioPreview, video: Array) -> list[int]:
    whole = clips_of([video])
    shown = whole.take(selector.candidates(whole.lengths))
    index = selector.eval()(shown, ClipGenerator(torch.zeros(1, dtype=torch.int64))).index
    return [int(shown.times[0, place]) for place in index[0].tolist() if place != NO_FRAME]


def test_audio_is_previewed_for_changes_or_for_loudness() -> None:
    audio = np.zeros((30, 2), np.float32)
    audio[10:14, 0] = [1.0, 2.0, 3.0, 4.0]
    audio[14:, 0] = 4.0
    assert previewed(AudioPreview(2, 4, mu=1.0), audio) == [10, 11, 12, 13]
    assert previewed(AudioPreview(2, 4, by="loudness", mu=1.0), audio)[0] >= 13
    assert previewed(AudioPreview(2, 3, mu=0.0), audio) == [5, 15, 25]
    assert all(frame % 3 == 0 for frame in previewed(AudioPreview(2, 4, stride=3), audio))


def test_audio_preview_needs_audio() -> None:
    with pytest.raises(ConfigError, match="has no feature `audio`"):
        AudioPreview(0, 4)


# ---------------------------------------------------------------------------- what it all costs


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["motion", "farthest-point", "k-medoids"])
def test_a_row_pays_for_every_scanned_frame(
    name: str, stride: int, command: Any, tmp_path: Path
) -> None:
    cost = cost_of_a_run(command, tmp_path, name, f"selector.stride={stride}")
    scanned = FRAMES // stride
    if name == "motion" and stride > 1:  # frames between the scanned ones are read, too
        assert scanned < cost["frames_read"] <= scanned + 4
    else:
        assert cost["frames_read"] == scanned
    assert cost["bytes_read"] == cost["frames_read"] * WIDTH
    if name == "k-medoids":
        rounds, rest = divmod(cost["selector_macs"] - scanned**2 * WIDTH, scanned**2 * 4)
        assert rest == 0
        assert 1 <= rounds <= 5
    else:
        assert cost["selector_macs"] == (0 if name == "motion" else 3 * scanned * WIDTH)


def test_a_row_pays_for_previewed_audio_and_for_whole_kept_frames(
    command: Any, tmp_path: Path
) -> None:
    cost = cost_of_a_run(command, tmp_path, "audio-preview")
    assert cost["frames_read"] == FRAMES
    assert cost["bytes_read"] == FRAMES * AUDIO + 4 * (WIDTH - AUDIO)
    assert cost["selector_macs"] == 0


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Motion(3, stride=0), "motion: stride=0"),
        (lambda: Motion(3, mu=-1.0), "motion: mu=-1.0"),
        (lambda: Motion(3, mu=float("nan")), "motion: mu=nan"),
        (lambda: FarthestPoint(3, stride=-2), "farthest-point: stride=-2"),
        (lambda: KMedoids(3, iterations=-1), "k-medoids: iterations=-1"),
        (lambda: AudioPreview(2, 3, mu=float("inf")), "audio-preview: mu=inf"),
    ],
)
def test_knobs_out_of_range_are_refused(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        make()
