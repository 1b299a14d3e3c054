from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from running import metrics, run_experiment
from scripted import SCRIPTED, MakeSetup, Scripted, answers, sweep

from distillbench.cli.render.watching import Board
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ConfigError, PluginError
from distillbench.evaluation.cost import count_macs
from distillbench.experiments.context import RunContext
from distillbench.experiments.executor import CheckedExecutor
from distillbench.experiments.jobs import PackedRun, packed
from distillbench.experiments.plan import Plan, plan
from distillbench.experiments.sweep import Sweep, Watcher
from distillbench.interfaces import (
    Failed,
    Finished,
    Lost,
    Message,
    RunEvent,
    RunJob,
)
from distillbench.results import failures
from distillbench.results.store import Result
from distillbench.training.build import assemble, open_data


def test_a_plan_counts_the_teachers_that_runs_share(grid: list[RunSpec], tmp_path: Path) -> None:
    planned = plan(grid, RunContext(tmp_path, "cpu"))
    assert len(planned.jobs) == 7
    assert len(planned.teachers) == 2
    skyline = next(job for job in planned.jobs if job.spec.reports == "teacher")
    assert skyline.work == 0
    assert planned.work == sum(job.work for job in planned.jobs) + 2 * skyline.teacher_work
    assert planned.pace is None


def test_work_is_three_passes_a_training_video_and_epoch(
    make_spec: MakeSetup, tmp_path: Path
) -> None:
    one, two = (
        plan([make_spec(f"training.epochs={n}", schedule="scratch")], RunContext(tmp_path, "cpu"))
        for n in (1, 2)
    )
    spec = make_spec(schedule="scratch")
    parts = assemble(spec, open_data(spec), torch.device("cpu"))
    inner, outer, _ = count_macs(
        parts.models["student"], parts.splits.train.width, frames=4, slots=4
    )
    assert inner
    assert outer
    assert one.work == 3 * len(parts.splits.train) * (inner + outer)
    assert two.work == 2 * one.work


def test_what_is_answered_is_left_out_and_gives_the_pace(
    make_spec: MakeSetup, tmp_path: Path
) -> None:
    done, left = make_spec(schedule="scratch"), make_spec(schedule="scratch", seed=1)
    place = RunContext(tmp_path, "cpu")
    run_experiment(done, place)
    planned = plan([done, left], place)
    assert [spec.key for spec in planned.finished] == [done.key]
    assert [job.spec.key for job in planned.jobs] == [left.key]
    assert planned.pace is not None
    assert len(plan([done, left], dataclasses.replace(place, again=True)).jobs) == 2


def test_a_stored_teacher_is_not_planned_again(make_spec: MakeSetup, tmp_path: Path) -> None:
    place = RunContext(tmp_path, "cpu")
    run_experiment(make_spec("training.threads=1", schedule="teacher"), place)
    student = make_spec("training.threads=1", schedule="serial")
    assert plan([student], place).teachers == {}
    assert len(plan([student], dataclasses.replace(place, retrain=True)).teachers) == 1


def test_every_run_that_asks_for_too_many_frames_is_told_before_the_first(
    make_spec: MakeSetup, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as told:
        plan([make_spec(k=13), make_spec(k=14), make_spec(k=12)], RunContext(tmp_path, "cpu"))
    assert [problem.split(" is ")[0] for problem in told.value.problems] == ["k = 13", "k = 14"]


def test_a_teacher_is_in_one_runs_hands_at_a_time_and_the_skyline_trains_it(
    grid: list[RunSpec], tmp_path: Path
) -> None:
    given = sweep(plan(grid, RunContext(tmp_path, "cpu")), tmp_path, Scripted(answers)).given
    assert {spec.schedule.name for spec in given[:2]} == {"teacher"}
    assert sorted(s.key for s in given) == sorted(s.key for s in grid)


def test_a_run_whose_process_is_killed_is_tried_once_more(
    make_spec: MakeSetup, tmp_path: Path
) -> None:
    spec, calls = make_spec(schedule="scratch"), list[int]()

    def dies_once(spec: RunSpec, context: RunContext) -> list[RunEvent]:
        calls.append(1)
        return answers(spec, context) if len(calls) > 1 else [Lost(spec.key, "killed")]

    sweep(plan([spec], RunContext(tmp_path, "cpu")), tmp_path, Scripted(dies_once))
    assert len(calls) == 2
    assert failures.load(tmp_path) == ([], [])


def test_a_run_that_dies_twice_is_a_row_with_its_reason_and_the_rest_goes_on(
    grid: list[RunSpec], tmp_path: Path
) -> None:
    unlucky = grid[0].key

    def script(spec: RunSpec, context: RunContext) -> list[RunEvent]:
        return (
            [Lost(spec.key, "ended by SIGKILL")] if spec.key == unlucky else answers(spec, context)
        )

    sweep(plan(grid, RunContext(tmp_path, "cpu")), tmp_path, Scripted(script))
    ((failure,), _) = failures.load(tmp_path)
    assert (failure.id, failure.reason, failure.content["attempts"]) == (
        unlucky,
        "ended by SIGKILL",
        2,
    )
    assert len(list(tmp_path.glob("*.json"))) == len(grid) - 1


def test_where_the_leader_fails_another_run_trains_the_teacher(
    grid: list[RunSpec], tmp_path: Path
) -> None:
    def script(spec: RunSpec, context: RunContext) -> list[RunEvent]:
        failed = [Failed(spec.key, "failed", "no")]
        return failed if spec.reports == "teacher" else answers(spec, context)

    given = sweep(plan(grid, RunContext(tmp_path, "cpu")), tmp_path, Scripted(script)).given
    assert len(given) == len(grid)
    assert len(failures.load(tmp_path)[0]) == 2


def test_retrain_trains_each_teacher_again_once(grid: list[RunSpec], tmp_path: Path) -> None:
    planned = plan(grid, RunContext(tmp_path, "cpu", retrain=True))
    places = sweep(planned, tmp_path, Scripted(answers), retrain=True).places
    retrained = {s.key for s in grid if any(place.retrain for place in places[s.key])}
    assert retrained == {s.key for s in grid if s.reports == "teacher"}
    assert all(place.again for given in places.values() for place in given)


def test_an_executor_that_forgets_a_run_costs_that_run_alone(
    grid: list[RunSpec], tmp_path: Path
) -> None:
    class Forgetful(Scripted):
        def submit(self, job: RunJob) -> None:
            super().submit(job)
            if job.key == grid[0].key:
                del self._waiting[job.key]
                (tmp_path / f"{job.key}.json").unlink()

    given = sweep(plan(grid, RunContext(tmp_path, "cpu")), tmp_path, Forgetful(answers)).given
    assert [spec.key for spec in given].count(grid[0].key) == 2
    ((failure,), _) = failures.load(tmp_path)
    assert failure.id == grid[0].key
    assert failure.reason == "the executor 'scripted' of somebody 1 lost it without a word"
    assert len(list(tmp_path.glob("*.json"))) == len(grid) - 1


class Wrong(Scripted):
    """Reports something that cannot be, behind all that is right."""

    def __init__(self, wrong: Callable[[], object]) -> None:
        super().__init__(answers)
        self._wrong = wrong

    def events(self, timeout: float) -> Iterator[RunEvent]:
        yield from super().events(timeout)
        if not self._waiting:
            yield self._wrong()  # type: ignore[misc]


def raises() -> object:
    raise OSError("the cluster is gone")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (raises, "failed: OSError: the cluster is gone"),
        (lambda: "done", "reported 'done'; the events are: Finished, Failed, Lost"),
        (lambda: Finished("0123"), "reported Finished of run '0123', which it does not have"),
        (lambda: RunEvent("0123"), "reported RunEvent(key='0123'); the events are"),
    ],
)
def test_an_executor_that_breaks_its_word_ends_the_sweep_and_nothing_that_was_made_is_lost(
    wrong: Callable[[], object], said: str, grid: list[RunSpec], tmp_path: Path
) -> None:
    with pytest.raises(PluginError) as told:
        sweep(plan(grid, RunContext(tmp_path, "cpu")), tmp_path, Wrong(wrong))
    assert str(told.value).startswith(f"the executor 'scripted' of somebody 1 {said}")
    assert len(list(tmp_path.glob("*.json"))) == 2
    assert len(plan(grid, RunContext(tmp_path, "cpu")).jobs) == len(grid)  # made up: of other data


@pytest.mark.parametrize("free", ["two", True, None])
def test_an_executor_whose_room_is_no_number_is_refused(
    free: object, make_spec: MakeSetup, tmp_path: Path
) -> None:
    class Roomy(Scripted):
        free = property(lambda self: free)  # type: ignore[assignment]

    planned = plan([make_spec(schedule="scratch")], RunContext(tmp_path, "cpu"))
    with pytest.raises(PluginError, match=r"free is .*; it is an integer"):
        Sweep(
            planned,
            RunContext(tmp_path, "cpu"),
            CheckedExecutor(SCRIPTED, Roomy(answers)),
            Watcher(),
        )


def test_an_executor_that_learns_of_room_by_events_is_asked_for_them(
    make_spec: MakeSetup, tmp_path: Path
) -> None:
    class Late(Scripted):
        asked = 0
        free = property(lambda self: min(self.asked, 1))  # type: ignore[assignment]

        def events(self, timeout: float) -> Iterator[RunEvent]:
            self.asked += 1
            yield from super().events(timeout)

    planned = plan([make_spec(schedule="scratch")], RunContext(tmp_path, "cpu"))
    assert len(sweep(planned, tmp_path, Late(answers)).given) == 1


@pytest.mark.parametrize("shares", [True, False])
def test_a_run_knows_how_many_others_slow_it_down(
    shares: bool, grid: list[RunSpec], tmp_path: Path
) -> None:
    script = type("Placed", (Scripted,), {"shares_machine": shares})(answers)
    places = sweep(plan(grid, RunContext(tmp_path, "cpu")), tmp_path, script).places
    assert {place.runs_beside for given in places.values() for place in given} == {
        1 if shares else 0
    }


def test_a_packed_run_is_made_in_whatever_process_has_it(
    make_spec: MakeSetup, tmp_path: Path
) -> None:
    spec, reported = make_spec(schedule="serial"), list[RunEvent]()
    job = pickle.loads(pickle.dumps(packed(spec, RunContext(tmp_path, "cpu"))))
    assert job.run(reported.append) == Finished(spec.key)
    kinds = [type(event).__name__ for event in reported if not isinstance(event, Message)]
    assert kinds == ["PhaseStarted", "EpochEnded", "EpochEnded"] * 2
    assert any(isinstance(event, Message) for event in reported)
    assert (tmp_path / f"{spec.key}.json").is_file()


def test_a_run_that_gets_lost_is_begun_as_often_as_the_executor_says_and_before_others(
    grid: list[RunSpec], tmp_path: Path
) -> None:
    leader = grid[2].key

    def script(spec: RunSpec, context: RunContext) -> list[RunEvent]:
        return [Lost(spec.key, "gone")] if spec.key == leader else answers(spec, context)

    made = type("Patient", (Scripted,), {"attempts": 4})(script)
    made.count = 1
    given = [s.key for s in sweep(plan(grid, RunContext(tmp_path, "cpu")), tmp_path, made).given]
    assert given[:4] == [leader] * 4, "its checkpoint holds the half of a teacher"
    assert given.count(leader) == 4
    assert len(given) == len(grid) + 3
    assert failures.load(tmp_path)[0][0].record.attempts == 4


@pytest.mark.parametrize("attempts", ["two", True, 0])
def test_an_executor_whose_attempts_are_no_number_is_refused(
    attempts: object, make_spec: MakeSetup, tmp_path: Path
) -> None:
    def script(spec: RunSpec, context: RunContext) -> list[RunEvent]:
        return [Lost(spec.key, "gone")]

    made = type("Wrong", (Scripted,), {"attempts": attempts})(script)
    planned = plan([make_spec(schedule="scratch")], RunContext(tmp_path, "cpu"))
    with pytest.raises(PluginError, match=r"attempts is .*; it is an integer of at least 1"):
        sweep(planned, tmp_path, made)


def test_a_result_that_another_machine_wrote_may_be_seen_later(
    make_spec: MakeSetup, tmp_path: Path
) -> None:
    class Remote(Scripted):
        remote = True
        looks = 0

        def events(self, timeout: float) -> Iterator[RunEvent]:
            yield from super().events(timeout)
            hidden = tmp_path / "hidden.json"
            if hidden.exists():
                self.looks += 1
                if self.looks == 3:
                    hidden.rename(tmp_path / f"{self.given[0].key}.json")

    def script(spec: RunSpec, context: RunContext) -> list[RunEvent]:
        found = answers(spec, context)
        (context.results / f"{spec.key}.json").rename(tmp_path / "hidden.json")
        return found

    planned = plan([make_spec(schedule="scratch")], RunContext(tmp_path, "cpu"))
    assert len(sweep(planned, tmp_path, Remote(script)).given) == 1
    assert failures.load(tmp_path) == ([], [])


def test_a_run_is_made_where_the_sweep_was_begun_in_the_same_folder_of_results(
    make_spec: MakeSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, elsewhere = tmp_path / "begun", tmp_path / "elsewhere"
    begun.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(begun)
    spec = make_spec(schedule="scratch")
    job = packed(spec, RunContext(Path("results"), "cpu"))
    monkeypatch.chdir(elsewhere)
    assert job.results == str(begun / "results")
    assert job.run(list[RunEvent]().append) == Finished(spec.key)
    assert (begun / "results" / f"{spec.key}.json").is_file()
    assert list(elsewhere.iterdir()) == []


def test_a_machine_that_does_not_share_the_folders_or_has_other_versions_makes_no_run(
    make_spec: MakeSetup, tmp_path: Path
) -> None:
    spec = make_spec(schedule="scratch")
    job = packed(spec, RunContext(tmp_path / "results", "cpu"))
    assert isinstance(job, PackedRun)
    (tmp_path / "mine").mkdir()
    for wrong, said in (
        ({"results": str(tmp_path / "mine")}, "does not see"),
        ({"directory": str(tmp_path / "gone")}, "does not see"),
        ({"versions": {**job.versions, "torch": "1.0"}}, "begun with torch 1.0: install the same"),
    ):
        ended = dataclasses.replace(job, **wrong).run(list[RunEvent]().append)
        assert isinstance(ended, Failed)
        assert said in ended.reason
    assert list((tmp_path / "mine").iterdir()) == []


def test_runs_of_other_machines_are_planned_for_a_gpu_that_this_one_lacks(
    make_spec: MakeSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (job,) = plan([make_spec(schedule="serial")], RunContext(tmp_path, "cuda")).jobs
    (same,) = plan([make_spec(schedule="serial")], RunContext(tmp_path, "cpu")).jobs
    assert job.teacher != same.teacher
    assert packed(job.spec, RunContext(tmp_path, "cuda")).device == "cuda"


def test_results_at_a_url_are_refused(command: Any, tiny: list[str], tmp_path: Path) -> None:
    for flags in (["sweep"], ["run"]):
        code, _, err = command(*flags, *tiny, "--results", "s3://bucket/results")
        assert code == 2
        assert "is a URL" in err
        assert "mount the bucket" in err.replace("\n", " ")


def test_a_packed_run_never_raises(make_spec: MakeSetup, tmp_path: Path) -> None:
    def gone(event: RunEvent) -> None:
        raise BrokenPipeError("the sweep is gone")

    spec = make_spec(schedule="scratch")
    job = packed(spec, RunContext(tmp_path, "cpu"))
    assert job.run(gone) == Failed(spec.key, "failed", "BrokenPipeError: the sweep is gone")
    damaged = dataclasses.replace(job, packed=b"no pickle")
    assert isinstance(damaged.run(print), Failed)
    too_many = packed(
        make_spec("training.threads=9999", schedule="scratch"), RunContext(tmp_path, "cpu")
    )
    assert "more than this machine has" in too_many.run(print).reason


def test_a_result_that_is_damaged_before_it_is_read_costs_its_run_alone(
    grid: list[RunSpec], tmp_path: Path
) -> None:
    def script(spec: RunSpec, context: RunContext) -> list[RunEvent]:
        events = answers(spec, context)
        if spec.key == grid[0].key:
            (tmp_path / f"{spec.key}.json").write_text("{")
        return events

    given = sweep(plan(grid, RunContext(tmp_path, "cpu")), tmp_path, Scripted(script)).given
    assert [spec.key for spec in given].count(grid[0].key) == 2
    assert {spec.key for spec in given} == {spec.key for spec in grid}
    assert (
        "not a readable result"
        in json.loads((tmp_path / "failures" / f"{grid[0].key}.json").read_text())["reason"]
    )


def test_a_sweep_shows_the_best_answer_that_can_be_read(
    make_spec: MakeSetup, make_result: Callable[..., Result], tmp_path: Path
) -> None:
    results = [make_result(schedule="scratch", seed=seed) for seed in (0, 1)]
    specs = tuple(make_spec("data.train=64", schedule="scratch", seed=seed) for seed in (0, 1))
    results[0].path.write_text("{")
    board = Board(Plan((), specs, frozenset(), None), tmp_path / "results", metrics())
    assert f"{results[1].content['metrics']['gap']:.4f}" in str(
        list(board.render().renderables)[-1]
    )
