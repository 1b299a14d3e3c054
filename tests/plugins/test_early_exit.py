"""Encoders that may stop early, the policies that stop them, and the loss at every exit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from running import built

from distillbench.errors import ConfigError
from distillbench.interfaces import (
    Clips,
    Encoder,
    Encoding,
    ExitPolicy,
    LossBatch,
    LossContext,
    Output,
    Shapes,
)
from distillbench.testing import toys
from distillbench_plugins.encoders.frameexit import FrameExit, coarse_to_fine
from distillbench_plugins.encoders.gru import GRUEncoder
from distillbench_plugins.encoders.lstm import LSTMEncoder
from distillbench_plugins.encoders.mingru import MinGRU
from distillbench_plugins.exit_policies.confidence import Confidence
from distillbench_plugins.exit_policies.entropy import Entropy
from distillbench_plugins.exit_policies.margin import Margin
from distillbench_plugins.exit_policies.patience import Patience
from distillbench_plugins.layers.scan import linear_recurrence
from distillbench_plugins.losses.exits_ce import ExitsCrossEntropy

RECURRENT = [LSTMEncoder, GRUEncoder, MinGRU]
TUNED = [Confidence, Entropy, Margin]
LENGTHS = (7, 3, 5)


@given(st.integers(1, 200))
def test_the_coarse_order_names_every_frame_once_and_begins_in_the_middle(length: int) -> None:
    order = coarse_to_fine(length)
    assert sorted(order) == list(range(length))
    assert order[0] == length // 2


def test_a_video_is_seen_at_ever_finer_steps() -> None:
    assert coarse_to_fine(7) == (3, 1, 5, 0, 2, 4, 6)


@pytest.mark.parametrize("kind", [*RECURRENT, FrameExit])
def test_an_exit_gives_in_training_what_the_encoder_gives_up_to_it(kind: type[Encoder]) -> None:
    encoder: Any = built(kind, toys.WIDTH, size=6, exits="2,4,9")
    clips = toys.clips(LENGTHS)
    found = encoder.train()(clips)
    assert len(found.exits) == 2  # no video has more than 9 frames
    for frames, summary in zip((2, 4), found.exits, strict=True):
        torch.testing.assert_close(summary, encoder.up_to(clips, frames).summary)
    assert encoder.eval()(clips).exits == ()


@pytest.mark.parametrize("kind", RECURRENT)
def test_what_comes_after_an_exit_changes_nothing_of_it(kind: type[Encoder]) -> None:
    encoder: Any = built(kind, toys.WIDTH, size=6, exits="2").eval()
    clips = toys.clips((5, 5))
    later = clips.frames.clone()
    later[:, 2:] += 1
    other = Clips(later, clips.lengths, clips.times, clips.slots)
    assert torch.equal(encoder.up_to(clips, 2).summary, encoder.up_to(other, 2).summary)
    assert not torch.equal(encoder(clips).summary, encoder(other).summary)


@pytest.mark.parametrize("kind", [*RECURRENT, FrameExit])
@pytest.mark.parametrize("exits", ["5,2", "0,2", "2,2", "x"])
def test_exits_that_do_not_ascend_are_refused(kind: type[Encoder], exits: str) -> None:
    with pytest.raises(ConfigError, match=f"exits='{exits}' is not a list of ascending"):
        built(kind, 8, exits=exits)


@settings(max_examples=30, deadline=None)
@given(frames=st.integers(1, 40), seed=st.integers(0, 999))
def test_the_scan_equals_walking_through_the_steps(frames: int, seed: int) -> None:
    drawn = torch.Generator().manual_seed(seed)
    keep, new = torch.rand(2, 3, frames, 4, generator=drawn, dtype=torch.float64)
    state, walked = torch.zeros(3, 4, dtype=torch.float64), []
    for step in range(frames):
        state = keep[:, step] * state + new[:, step]
        walked.append(state)
    torch.testing.assert_close(linear_recurrence(keep, new), torch.stack(walked, 1))


@pytest.mark.parametrize("kind", TUNED)
@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_tuned_policy_stops_its_share_of_those_still_running(
    kind: type[ExitPolicy], share: float
) -> None:
    policy = kind(share=share)  # type: ignore[call-arg]
    logits = [3 * torch.randn(400, 5, generator=torch.Generator().manual_seed(n)) for n in range(3)]
    assert not policy.stop(logits[:1]).any()
    policy.tune(logits, torch.zeros(400, 5), [2, 4, 8])
    first = policy.stop(logits[:1])
    second = policy.stop(logits[:2])[~first]
    assert float(first.float().mean()) == pytest.approx(share, abs=0.01)
    assert float(second.float().mean()) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("kind", TUNED)
def test_the_surest_stop_first(kind: type[ExitPolicy]) -> None:
    sure, unsure = torch.tensor([9.0, -9.0, -9.0]), torch.tensor([0.1, 0.0, 0.0])
    logits = torch.stack([sure, unsure, sure, unsure])
    policy = kind(share=0.5)  # type: ignore[call-arg]
    policy.tune([logits, logits], torch.zeros(4, 3), [1, 2])
    assert policy.stop([logits]).tolist() == [True, False, True, False]


def test_patience_waits_for_exits_that_agree() -> None:
    first, second = torch.eye(3)[[0, 1, 2]], torch.eye(3)[[0, 1, 0]]
    policy = Patience(exits=2)
    assert policy.stop([first]).tolist() == [False, False, False]
    assert policy.stop([first, second]).tolist() == [True, True, False]


def test_the_loss_is_the_mean_of_the_cross_entropies_of_all_exits() -> None:
    drawn = torch.Generator().manual_seed(0)
    every = torch.randn(3, 5, 4, generator=drawn, dtype=torch.float64)
    labels = torch.randint(0, 2, (5, 4), generator=drawn).float()
    loss = ExitsCrossEntropy(LossContext(Shapes(2, {}, 4), None, 5))
    output = Output(Encoding(torch.zeros(5, 2)), every[2], exits=(every[0], every[1]))
    p, y = 1 / (1 + np.exp(-every.numpy())), labels.numpy()
    expected = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum(2).mean()
    assert float(loss(output, LossBatch(labels, torch.arange(5)))) == pytest.approx(
        expected, abs=1e-12
    )


@pytest.mark.parametrize("student", ["frameexit", "gru"])
def test_a_row_counts_what_each_video_used(
    student: str, command: Any, tiny: list[str], tmp_path: Path
) -> None:
    fits = [word for word in tiny if "=" in word and not word.startswith("student.")]
    knobs = [*fits, "student.size=12", "student.exits=1,2"]
    flags = ["--student", student, "--schedule", "scratch", "--loss", "exits-ce", "--k", "4"]
    words = [*flags, *(word for knob in knobs for word in ("--set", knob))]
    code, _, err = command("run", *words, "--exit-policy", "entropy", "--results", tmp_path)
    assert code == 0, err
    (path,) = tmp_path.glob("*.json")
    cost = json.loads(path.read_text(encoding="utf-8"))["cost"]
    assert 1 <= cost["frames_read"] < 4
