"""Learned selectors find the frame that matters, and rows pay for all that they look at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from plugins.selector_rows import FRAMES, WIDTH, cost_of_a_run, words
from torch import Tensor, nn

from distillbench.errors import ConfigError
from distillbench.interfaces import (
    NO_FRAME,
    ClipGenerator,
    Clips,
    Codec,
    Encoder,
    Encoding,
    LearnedSelector,
    LossBatch,
    LossContext,
    Shapes,
)
from distillbench.networks import Model
from distillbench.registry.discovery import Component
from distillbench.testing.promises import Subject
from distillbench.testing.runner import verdicts
from distillbench_plugins.losses.match_saliency import MatchSaliency
from distillbench_plugins.losses.rank_frames import RankFrames
from distillbench_plugins.losses.reinforce import Reinforce
from distillbench_plugins.selectors.gumbel import GumbelTopK
from distillbench_plugins.selectors.one_step_policy import OneStepPolicy
from distillbench_plugins.selectors.oracle import Oracle
from distillbench_plugins.selectors.saliency import Saliency
from distillbench_plugins.selectors.scorer import Scorer

LEARNED: list[Callable[..., LearnedSelector]] = [Scorer, Saliency, GumbelTopK, OneStepPolicy]
CLASSES, D, N, K = 3, 8, 12, 2


# ------------------------------------------------------------------- a task where one frame matters


class Mean(Encoder):
    """The mean of the frames."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        return Encoding(clips.frames.sum(1) / clips.lengths[:, None])


def task(videos: int, seed: int) -> tuple[Clips, Tensor, Tensor]:
    """Videos of noise, one frame of which shows the class; its place, and the labels."""
    drawn = torch.Generator().manual_seed(seed)
    frames = 0.3 * torch.randn(videos, N, D, generator=drawn)
    place = torch.randint(N, (videos,), generator=drawn)
    classes = torch.randint(CLASSES, (videos,), generator=drawn)
    frames[torch.arange(videos), place, classes] += 3.0
    times = torch.arange(N).expand(videos, -1)
    keys = torch.arange(videos) + 1_000 * seed
    clips = Clips(frames, torch.full((videos,), N), times, K, keys)
    return clips, place, nn.functional.one_hot(classes, CLASSES).float()


def network(selector: LearnedSelector | None) -> Model:
    """A network whose head knows the classes: only the choice of frames is left to learn."""
    head = nn.Linear(D, CLASSES)
    with torch.no_grad():
        head.weight.copy_(1.5 * torch.eye(CLASSES, D))
        head.bias.fill_(-1.0)
    codec = Codec(normalise="none")
    return Model(Mean(D), head, codec, selector=selector, features={"rgb": D})  # type: ignore[arg-type]


def found(model: Model, seed: int = 77) -> float:
    """The share of new videos of which the frame that matters is kept."""
    clips, place, _ = task(400, seed)
    model.eval()
    with torch.no_grad():
        selection = model(clips).selection
    assert selection is not None
    return float((selection.index == place[:, None]).any(1).float().mean())


SHAPES = Shapes(D, {}, CLASSES)
CONTEXT = LossContext(SHAPES, SHAPES, 400)


def by_labels(model: Model, clips: Clips, labels: Tensor) -> Tensor:
    logits = model(clips).logits
    return nn.functional.binary_cross_entropy_with_logits(logits, labels)


def by_reward(model: Model, clips: Clips, labels: Tensor) -> Tensor:
    value: Tensor = Reinforce(CONTEXT)(model(clips), LossBatch(labels, torch.arange(len(labels))))
    return value


def by_teacher(loss: nn.Module) -> Callable[[Model, Clips, Tensor], Tensor]:
    teacher = network(None).eval()

    def taught(model: Model, clips: Clips, labels: Tensor) -> Tensor:
        with torch.no_grad():
            whole = teacher(clips)
        each = type(whole)(whole.encoding, whole.logits, frame_logits=teacher.frame_logits(clips))
        value: Tensor = loss(model(clips), each, LossBatch(labels, torch.arange(len(labels))))
        return value

    return taught


@pytest.mark.parametrize(
    ("make", "objective"),
    [
        (Scorer, by_teacher(RankFrames(CONTEXT))),
        (Saliency, by_teacher(MatchSaliency(CONTEXT))),
        (GumbelTopK, by_labels),
        (OneStepPolicy, by_reward),
    ],
    ids=["scorer", "saliency", "gumbel", "one-step-policy"],
)
def test_it_learns_to_keep_the_frame_that_matters(
    make: Callable[..., LearnedSelector], objective: Callable[[Model, Clips, Tensor], Tensor]
) -> None:
    torch.manual_seed(0)
    model = network(make(D, K, hidden=16))
    assert model.selector is not None
    adam = torch.optim.Adam(model.selector.parameters(), 0.01)
    for step in range(120):
        clips, _, labels = task(64, step)
        model.train()
        adam.zero_grad()
        objective(model, clips, labels).backward()  # type: ignore[no-untyped-call]
        adam.step()
    assert K / N < 0.2
    assert found(model) > 0.8


# ------------------------------------------------------------------------------- what each chooses


def shown(lengths: list[int], seed: int = 0) -> Clips:
    drawn = torch.randn(
        len(lengths), max(lengths), D, generator=torch.Generator().manual_seed(seed)
    )
    counts = torch.tensor(lengths)
    times = torch.arange(max(lengths)).expand(len(lengths), -1)
    real = times < counts[:, None]
    return Clips(drawn * real[:, :, None], counts, times.masked_fill(~real, NO_FRAME), K)


def generator(videos: int, seed: int = 0) -> ClipGenerator:
    return ClipGenerator(torch.arange(videos) + 100 * seed)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("make", LEARNED)
def test_short_videos_keep_all_and_long_ones_k(
    make: Callable[..., LearnedSelector], training: bool
) -> None:
    lengths = [1, 4, 3, 9]
    index = make(D, 4).train(training)(shown(lengths), generator(4)).index
    assert [sorted(p for p in row if p >= 0) for row in index.tolist()][:3] == [
        [0],
        [0, 1, 2, 3],
        [0, 1, 2],
    ]
    assert int((index[3] >= 0).sum()) == 4


@pytest.mark.parametrize("make", LEARNED)
def test_evaluation_keeps_the_highest_scores_and_draws_nothing(
    make: Callable[..., LearnedSelector],
) -> None:
    selector = make(D, 3).eval()
    clips = shown([7, 5, 9])
    choices = [selector(clips, generator(3, seed)) for seed in (1, 2)]
    assert torch.equal(choices[0].index, choices[1].index)
    for row, scores, length in zip(
        choices[0].index, choices[0].scores, clips.lengths.tolist(), strict=True
    ):
        assert row.tolist() == sorted(scores[:length].topk(3).indices.tolist())


@pytest.mark.parametrize("make", LEARNED)
def test_every_stride_th_frame_is_read(make: Callable[..., LearnedSelector]) -> None:
    index = make(D, 3, stride=4).candidates(torch.tensor([9, 2]))
    assert index.tolist() == [[0, 4, 8], [0, NO_FRAME, NO_FRAME]]


def test_a_policys_probability_is_that_of_drawing_one_frame_after_the_other() -> None:
    policy = OneStepPolicy(D, 2).train()
    clips = shown([4, 3])
    drawn = [policy(clips, generator(2, seed)) for seed in range(300)]
    chances: dict[tuple[int, ...], set[float]] = {}
    for one in drawn:
        chances.setdefault(tuple(one.index[1].tolist()), set()).add(
            round(float(one.log_prob[1].detach().exp()), 5)
        )
    p = drawn[0].scores[1, :3].detach().softmax(0).tolist()
    for pair in ((0, 1), (0, 2), (1, 2)):
        ordered = {(a, b): p[a] * p[b] / (1 - p[a]) for a, b in (pair, pair[::-1])}
        assert sorted(chances[pair]) == pytest.approx(sorted(ordered.values()), abs=2e-5)
        share = sum(tuple(one.index[1].tolist()) == pair for one in drawn) / 300
        assert share == pytest.approx(sum(ordered.values()), abs=0.12)
    assert drawn[0].baseline.tolist() == [[0, 2], [0, 1]]


def test_gumbel_weights_are_one_and_move_the_scores_by_the_relaxed_choice() -> None:
    selector = GumbelTopK(D, 2).train()
    chosen = selector(shown([6]), generator(1))
    assert chosen.weights.tolist() == [[1.0, 1.0]]
    noisy = torch.tensor([[2.0, 0.5, -1.0]])
    first = (noisy / 0.5).softmax(1)
    second = ((noisy + (1 - first).log()) / 0.5).softmax(1)
    torch.testing.assert_close(selector._relaxed(noisy), first + second)


def test_a_baseline_is_classified_in_training_alone_and_without_gradient() -> None:
    model = network(OneStepPolicy(D, K))
    clips, _, _ = task(5, 0)
    output = model.train()(clips)
    assert output.baseline is not None
    assert not output.baseline.requires_grad
    even = torch.tensor([[0, N // 2]]).expand(5, -1)
    torch.testing.assert_close(output.baseline, network(None).eval()(clips.take(even)).logits)
    assert model.training
    assert model.eval()(clips).baseline is None


def test_logits_of_single_frames_are_those_of_clips_of_one_frame() -> None:
    model = network(None)
    clips = shown([40, 17])
    each = model.frame_logits(clips)
    assert torch.equal(each.times, clips.times)
    for video, frame in ((0, 0), (0, 39), (1, 16)):
        alone = clips.take(torch.tensor([[frame]] * 2))
        torch.testing.assert_close(each.values[video, frame], model(alone).logits[video])
    assert bool((each.values[1, 17:] == 0).all())


# ----------------------------------------------------------------------------- what it all costs


@pytest.mark.parametrize(
    ("name", "loss", "products"),
    [
        ("scorer", "ce,rank-frames", WIDTH * 16 + 16),
        ("gumbel", "ce", WIDTH * 16 + 16),
        ("one-step-policy", "ce,reinforce", WIDTH * 16 + 16),
        ("saliency", "ce,match-saliency", WIDTH * 16 + 16),
    ],
)
def test_a_row_pays_for_the_frames_that_are_scored(
    name: str, loss: str, products: int, command: Any, tmp_path: Path
) -> None:
    cost = cost_of_a_run(command, tmp_path, name, "selector.hidden=16", loss=loss)
    once = WIDTH * 16 if name == "saliency" else 0  # the mean of the frames
    assert cost["frames_read"] == FRAMES
    assert cost["bytes_read"] == FRAMES * WIDTH
    assert cost["selector_macs"] == FRAMES * products + once
    assert cost["macs"] == sum(cost[f"{part}_macs"] for part in ("selector", "encoder", "head"))


# ------------------------------------------------------------------------------------- the oracle


@pytest.fixture
def trained(command: Any, tmp_path: Path) -> Path:
    """The file of a trained teacher's run."""
    flags = ["--data", "synthetic", "--schedule", "teacher", *words()]
    code, _, err = command("run", *flags, "--results", tmp_path / "teacher")
    assert code == 0, err
    (path,) = (tmp_path / "teacher").glob("*.json")
    return path


def test_an_oracle_runs_its_teacher_on_all_frames_and_pays_for_it(
    trained: Path, command: Any, tmp_path: Path
) -> None:
    teacher = json.loads(trained.read_text(encoding="utf-8"))["cost"]
    cost = cost_of_a_run(command, tmp_path / "oracle", "oracle", f"selector.run={trained}")
    assert cost["frames_read"] == FRAMES
    assert cost["bytes_read"] == FRAMES * WIDTH
    assert cost["selector_macs"] > 2 * teacher["encoder_macs"]
    assert cost["parameters"] > teacher["parameters"]


def test_an_oracle_keeps_its_contract_and_its_teacher(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Oracle, "check_needs", "")
    monkeypatch.setattr(Oracle, "check_knobs", {"run": str(trained)}, raising=False)
    oracle = Oracle(WIDTH, 3, run=str(trained)).train()
    assert not oracle.teacher.training
    assert not any(weight.requires_grad for weight in oracle.parameters())
    subject = Subject(Component("learned-selector", "oracle", Oracle, "tests", "1"))
    told = {verdict.check.name: (verdict.status, verdict.received) for verdict in verdicts(subject)}
    exempt = told.pop("is_learned")
    assert exempt == ("not claimed", "it has no weights that are trained")
    told.pop("builds_from_its_defaults")
    assert set(told.values()) == {("kept", "")}
    with pytest.raises(ConfigError, match="reads frames of 16 numbers, not of 15"):
        Oracle(WIDTH - 1, 3, run=str(trained))


def test_an_oracle_ranks_frames_by_what_they_say_of_the_whole() -> None:
    oracle = Oracle.__new__(Oracle)
    nn.Module.__init__(oracle)
    oracle.k, oracle.form, oracle.teacher = K, "sigmoid", network(None).eval()
    model = network(oracle)
    assert found(model) > 0.95


def test_an_oracle_says_which_run_it_cannot_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run='' names no file"):
        Oracle(WIDTH, 3)
    with pytest.raises(ConfigError, match=r"there is no result '.*none.json'"):
        Oracle(WIDTH, 3, run=str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Scorer(D, 3, hidden=0), "scorer: hidden=0"),
        (lambda: Saliency(D, 3, hidden=-1), "saliency: hidden=-1"),
        (lambda: GumbelTopK(D, 3, temperature=0.0), "gumbel: temperature=0.0"),
        (lambda: OneStepPolicy(D, 3, stride=0), "one-step-policy: stride=0"),
    ],
)
def test_knobs_out_of_range_are_refused(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        make()
