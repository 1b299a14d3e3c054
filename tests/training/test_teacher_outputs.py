"""Cached outputs of a frozen teacher: shards on disk, each checked before it is used."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import metrics_for
from torch import Tensor

from distillbench.config.run_spec import RunSpec
from distillbench.data.batches import batches
from distillbench.errors import ResultError, TrainingError
from distillbench.interfaces import Encoding, Output
from distillbench.storage import load_tensors, save_tensors
from distillbench.training import output_cache
from distillbench.training.build import Experiment, assemble, open_data
from distillbench.training.callbacks import Observer
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.loop import fit
from distillbench.training.output_cache import CachedOutputs, OutputCache
from distillbench.training.teacher_outputs import (
    TeacherOutputs,
    cache_key,
    teacher_outputs,
    weights_digest,
)
from distillbench.training.teacher_store import TeacherStore

CPU = torch.device("cpu")
SHARD = 10  # of 64 videos: six shards and a shorter one
WIDTH = 32  # of an encoding: cell and hidden state of two layers of eight


class Recorder(Observer):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, message: str) -> None:
        self.messages.append(message)

    def contains(self, part: str) -> bool:
        return any(part in message for message in self.messages)


class Killed(Exception):  # noqa: N818 - it stands for a signal, not an error
    """Stands for kill -9: nothing is cleaned up."""


@pytest.fixture
def experiment(make_spec: Callable[..., RunSpec]) -> Experiment:
    """A run with an untrained, frozen teacher."""
    spec = make_spec()
    made = assemble(spec, open_data(spec), CPU)
    made.models["teacher"].eval()
    return made


@pytest.fixture
def pass_sizes(experiment: Experiment) -> Iterator[list[int]]:
    """Records the number of videos in each of the teacher's forward passes.

    The first pass of `open_outputs` has one video, to find the width.
    """
    counts: list[int] = []
    hook = experiment.models["teacher"].encoder.register_forward_pre_hook(
        lambda _, given: counts.append(len(given[0].times))
    )
    yield counts
    hook.remove()


def open_outputs(
    experiment: Experiment, folder: Path, budget: int = 10**9, observer: Observer | None = None
) -> TeacherOutputs:
    return teacher_outputs(
        experiment, "teacher", None, OutputCache(folder, budget, SHARD), observer or Observer()
    )


def epoch_outputs(experiment: Experiment, outputs: TeacherOutputs) -> Iterator[Output]:
    """Yields the teacher's output of every batch of a shuffled epoch."""
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    views = {"teacher": outputs.view} if outputs.view else {}
    for batch in batches(experiment.splits.train, order, 16, views):
        yield outputs.output(batch.videos, batch.clips.get("teacher"), CPU)


def summaries(experiment: Experiment, outputs: TeacherOutputs) -> Tensor:
    return torch.cat([output.encoding.summary for output in epoch_outputs(experiment, outputs)])


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.safetensors"))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(budget=st.integers(0, 64 * WIDTH * 2 + 100))
def test_any_budget_gives_the_same_output(
    experiment: Experiment, tmp_path: Path, budget: int
) -> None:
    all_outputs, some_outputs = (
        epoch_outputs(experiment, open_outputs(experiment, tmp_path / str(size), size))
        for size in (10**9, budget)
    )
    for all_cached, some_cached in zip(all_outputs, some_outputs, strict=True):
        assert torch.allclose(
            all_cached.encoding.summary, some_cached.encoding.summary, rtol=2e-3, atol=1e-6
        )
        assert torch.allclose(all_cached.logits, some_cached.logits, rtol=2e-3, atol=1e-4)
    assert (
        sum(load_tensors(path)[0]["summaries"].nbytes for path in shards(tmp_path / str(budget)))
        <= budget
    )


def test_the_budget_changes_a_run_only_by_rounding(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    ends = []
    for budget in (0, 10**9):
        spec = make_spec()
        built = assemble(spec, open_data(spec), CPU)
        store = TeacherStore(tmp_path / str(budget), cache_budget=budget)
        history = fit(built, metrics_for(built), store, Checkpoints(None, spec.key)).history
        ends.append(history[-1]["networks"]["student"]["terms"])
    for term, live in ends[0].items():
        assert ends[1][term] == pytest.approx(live, rel=1e-3)


def test_cached_outputs_are_not_computed_again(
    experiment: Experiment, tmp_path: Path, pass_sizes: list[int]
) -> None:
    first = summaries(experiment, open_outputs(experiment, tmp_path))
    assert sum(pass_sizes) == 1 + 64
    del pass_sizes[:]
    recorder = Recorder()
    assert torch.equal(
        summaries(experiment, open_outputs(experiment, tmp_path, observer=recorder)), first
    )
    assert pass_sizes == [1]
    assert not recorder.messages


def test_students_with_other_frames_share_the_cached_outputs(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    recorders = [Recorder(), Recorder()]
    for k, observer in zip((4, 6), recorders, strict=True):
        spec = make_spec("training.epochs=1", k=k)
        built = assemble(spec, open_data(spec), CPU)
        fit(
            built, metrics_for(built), TeacherStore(tmp_path), Checkpoints(None, spec.key), observer
        )
    assert recorders[0].contains("computing the teacher's outputs once for 64 training videos")
    assert not recorders[1].contains("computing")
    assert len(shards(tmp_path / "signals")) == 1


def test_only_videos_that_are_not_cached_are_read_and_encoded(
    experiment: Experiment, tmp_path: Path, pass_sizes: list[int]
) -> None:
    outputs = open_outputs(experiment, tmp_path, 2 * SHARD * WIDTH * 2)
    del pass_sizes[:]
    summaries(experiment, outputs)
    assert sum(pass_sizes) == 64 - 2 * SHARD
    assert outputs.view is not None
    train, view = experiment.splits.train, experiment.evaluation_views["teacher"]
    chosen = outputs.view.chosen(train, torch.tensor([3, 50, 19, 20]), 0, slice(None))
    videos, frames = chosen.videos, chosen.index
    assert videos.tolist() == [50, 20]
    assert torch.equal(frames, view.chosen(train, videos, 0, slice(None)).index)
    assert not len(outputs.view.chosen(train, torch.tensor([3, 19]), 0, slice(None)).videos)


@pytest.mark.parametrize(
    ("assignments", "choices"),
    [
        (["teacher.block_length=5"], {}),
        (["data.noise=2"], {}),
        (["training.batch_size=8"], {}),
        ([], {"teacher_selector": "uniform"}),
        ([], {"seed": 1}),
    ],
)
def test_whatever_changes_an_encoding_changes_the_cache_entry(
    experiment: Experiment,
    make_spec: Callable[..., RunSpec],
    tmp_path: Path,
    assignments: list[str],
    choices: dict[str, Any],
) -> None:
    open_outputs(experiment, tmp_path)
    spec = make_spec(*assignments, **choices)
    other = assemble(spec, open_data(spec), CPU)
    other.models["teacher"].load_state_dict(experiment.models["teacher"].state_dict())
    recorder = Recorder()
    open_outputs(other, tmp_path, observer=recorder)
    assert recorder.contains("computing the teacher's outputs once for 64")
    assert len(list(tmp_path.iterdir())) == 2


def test_the_cache_key_depends_on_weights_and_precision(experiment: Experiment) -> None:
    before = cache_key(experiment, "teacher")
    assert cache_key(dataclasses.replace(experiment, precision="bf16"), "teacher") != before
    with torch.no_grad():
        next(experiment.models["teacher"].encoder.parameters()).view(-1)[0] += 1e-6
    assert cache_key(experiment, "teacher") != before


def test_a_digest_depends_on_names_and_shapes_too() -> None:
    one, two = torch.nn.Linear(2, 3, bias=False), torch.nn.Linear(3, 2, bias=False)
    torch.nn.init.zeros_(one.weight)
    torch.nn.init.zeros_(two.weight)
    assert (
        len({weights_digest(one), weights_digest(two), weights_digest(torch.nn.Sequential(one))})
        == 3
    )


@pytest.mark.parametrize("stop", [0, 1, 4])
def test_a_run_killed_while_it_fills_the_cache_reuses_the_finished_shards(
    experiment: Experiment,
    tmp_path: Path,
    pass_sizes: list[int],
    monkeypatch: pytest.MonkeyPatch,
    stop: int,
) -> None:
    whole = summaries(experiment, open_outputs(experiment, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        patch.setattr(output_cache, "save_tensors", _failing_after(stop, Killed()))
        with pytest.raises(Killed):
            open_outputs(experiment, tmp_path / "broken")
    assert len(shards(tmp_path / "broken")) == stop
    del pass_sizes[:]
    assert torch.equal(summaries(experiment, open_outputs(experiment, tmp_path / "broken")), whole)
    assert sum(pass_sizes) == 1 + 64 - stop * SHARD


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _of_other_videos(path: Path) -> None:
    path.write_bytes((path.parent / "00004.safetensors").read_bytes())


def _of_another_teacher(path: Path) -> None:
    tensors, about = load_tensors(path)
    about["key"]["weights"] = "0" * 32
    save_tensors(path, {"summaries": tensors["summaries"] * 2}, about)


def _of_another_shape(path: Path) -> None:
    tensors, about = load_tensors(path)
    save_tensors(path, {"summaries": tensors["summaries"][:-1]}, about)


def _no_tensors(path: Path) -> None:
    path.write_bytes(b"not a shard at all")


@pytest.mark.parametrize(
    "damage", [_truncated, _of_other_videos, _of_another_teacher, _of_another_shape, _no_tensors]
)
def test_a_shard_with_wrong_content_is_reported_and_computed_again(
    experiment: Experiment, tmp_path: Path, pass_sizes: list[int], damage: Callable[[Path], None]
) -> None:
    whole = summaries(experiment, open_outputs(experiment, tmp_path))
    damage(shards(tmp_path)[2])
    del pass_sizes[:]
    recorder = Recorder()
    assert torch.equal(
        summaries(experiment, open_outputs(experiment, tmp_path, observer=recorder)), whole
    )
    assert recorder.contains("00002.safetensors")
    assert recorder.contains("the teacher's outputs are computed again")
    assert sum(pass_sizes) == 1 + SHARD


def test_a_full_disk_does_not_fail_the_run(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = summaries(experiment, open_outputs(experiment, tmp_path / "whole"))
    recorder = Recorder()
    error = ResultError(
        "'a shard' cannot be written: No space left on device; nothing there was changed"
    )
    monkeypatch.setattr(output_cache, "save_tensors", _failing_after(3, error))
    outputs = open_outputs(experiment, tmp_path / "full", observer=recorder)
    assert recorder.contains("No space left on device")
    assert recorder.contains("computed at every step")
    assert torch.allclose(summaries(experiment, outputs), whole, rtol=2e-3, atol=1e-6)
    assert len(shards(tmp_path / "full")) == 3


def test_two_runs_may_fill_the_same_cache_entry_at_the_same_time(
    experiment: Experiment, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = list(
            pool.map(lambda _: summaries(experiment, open_outputs(experiment, tmp_path)), range(2))
        )
    assert torch.equal(*both)
    assert torch.equal(
        both[0], summaries(experiment, open_outputs(experiment, tmp_path / "single"))
    )
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_mapped_shard_stays_usable_while_another_run_replaces_it(
    experiment: Experiment, tmp_path: Path
) -> None:
    outputs = open_outputs(experiment, tmp_path)
    before = summaries(experiment, outputs)
    for path in shards(tmp_path):
        tensors, about = load_tensors(path)
        save_tensors(path, {"summaries": tensors["summaries"] * 0}, about)
        path.unlink()
    assert torch.equal(summaries(experiment, outputs), before)


def test_encodings_too_large_for_half_precision_are_refused(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = experiment.models["teacher"].encoder
    real = encoder.forward
    monkeypatch.setattr(
        encoder, "forward", lambda clips, *, with_states=False: Encoding(real(clips).summary * 1e9)
    )
    with pytest.raises(TrainingError, match="is not finite in half precision"):
        open_outputs(experiment, tmp_path)


def test_a_run_killed_with_a_partly_filled_cache_resumes_bit_identically(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    class Kill(Observer):
        steps_left = 11  # in the student's first epoch: the teacher had two of four steps

        def step_ended(self) -> None:
            self.steps_left -= 1
            if not self.steps_left:
                raise Killed

    spec = make_spec()

    def train(folder: Path, observer: Observer) -> dict[str, Tensor]:
        built = assemble(spec, open_data(spec), CPU)
        store = TeacherStore(folder)
        store.output_cache = OutputCache(folder / "signals", 3 * SHARD * WIDTH * 2, SHARD)
        fit(
            built,
            metrics_for(built),
            store,
            Checkpoints(folder / "checkpoint.safetensors", spec.key, 0.0),
            observer,
        )
        return built.models["student"].state_dict()

    with pytest.raises(Killed):
        train(tmp_path / "broken", Kill())
    resumed, whole = train(tmp_path / "broken", Observer()), train(tmp_path / "whole", Observer())
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_reading_needs_no_memory_that_grows_with_the_data(tmp_path: Path) -> None:
    def anonymous() -> int:
        status = Path("/proc/self/status")
        if not status.is_file():
            pytest.skip("no /proc to read the anonymous memory from")
        return next(
            int(line.split()[1])
            for line in status.read_text().splitlines()
            if line.startswith("RssAnon")
        )

    entry = OutputCache(tmp_path).entry({}, 12 * output_cache.SHARD, 1024)
    encodings = torch.ones(
        output_cache.SHARD, 1024, dtype=torch.float16
    )  # 16 MB a shard, 200 MB in all
    for videos in entry:
        entry.keep(videos, encodings)
    before = anonymous()
    found = {
        n: shard for n, videos in enumerate(entry) if (shard := entry.find(videos)) is not None
    }
    cached = CachedOutputs(found, 12 * output_cache.SHARD, 1024, output_cache.SHARD)
    for videos in torch.randperm(12 * output_cache.SHARD).split(256):
        assert cached.rows(videos).shape == (len(videos), 1024)
    assert len(found) == 12
    assert anonymous() - before < 40_000


def _failing_after(count: int, error: Exception) -> Callable[..., None]:
    left = iter(range(count))

    def save(*given: Any) -> None:
        if next(left, None) is None:
            raise error
        save_tensors(*given)

    return save
