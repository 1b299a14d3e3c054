from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from results.made_up import content_of
from running import answer, metrics

from distillbench.cli.watching import Board
from distillbench.errors import ConfigError, PluginError
from distillbench.evaluation.cost import count_macs
from distillbench.interfaces import Executor, Failed, Finished, Lost, Message, PhaseStarted, RunEvent, RunJob
from distillbench.registry import Component
from distillbench.results import failures
from distillbench.results.answer import Workplace
from distillbench.results.executing import CheckedExecutor
from distillbench.results.jobs import packed
from distillbench.results.planning import Plan, plan
from distillbench.results.record import Result
from distillbench.results.sweeping import Sweep, Watcher
from distillbench.setup import Setup
from distillbench.training.assemble import assemble, open_data

MakeSetup = Callable[..., Setup]


class Scripted(Executor):
    """Makes nothing: every run is answered at once, except those that get lost or fail."""

    def __init__(self, answers: Callable[[Setup, Workplace], list[RunEvent]]) -> None:
        self.count, self.given, self._answers = 2, list[Setup](), answers
        self._waiting: dict[str, list[RunEvent]] = {}
        self.places: dict[str, list[Workplace]] = {}
        self.stopped = False

    @property
    def free(self) -> int:
        return self.count - len(self._waiting)

    @property
    def running(self) -> list[str]:
        return list(self._waiting)

    def submit(self, job: RunJob) -> None:
        setup, workplace = pickle.loads(pickle.loads(pickle.dumps(job)).packed)
        self.given.append(setup)
        self.places.setdefault(setup.key, []).append(workplace)
        self._waiting[job.key] = self._answers(setup, workplace)

    def events(self, timeout: float) -> Iterator[RunEvent]:
        for key, left in list(self._waiting.items()):
            if len(left) == 1:
                del self._waiting[key]
            yield left.pop(0)

    def shutdown(self) -> None:
        self.stopped = True


SCRIPTED = Component("executor", "scripted", Scripted, "somebody", "1")


def answers(setup: Setup, workplace: Workplace) -> list[RunEvent]:
    path = workplace.results / f"{setup.key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = dict.fromkeys(("gap", "map_at_20", "map", "hit_at_1", "perr"), 0.5)
    files = {"network": "network.safetensors", "predictions": "predictions.safetensors"}
    content = {"format": 2, **content_of(setup), "metrics": numbers, "files": files}
    path.write_text(json.dumps(content))
    return [*(PhaseStarted(setup.key, p.name, p.epochs) for p in setup.phases), Finished(setup.key)]


def sweep(planned: Plan, folder: Path, script: Scripted, **place: Any) -> Scripted:
    checked = CheckedExecutor(SCRIPTED, script)
    try:
        Sweep(planned, Workplace(folder, "cpu", **place), checked, Watcher()).run()
    finally:
        assert script.stopped
    return script


@pytest.fixture
def grid(make_setup: MakeSetup) -> list[Setup]:
    """Two teachers, each shared by a skyline and two students, and one student alone."""
    of = [
        make_setup(schedule=s, k=k, seed=n) for n in (0, 1) for s, k in (("serial", 3), ("serial", 4), ("teacher", 4))
    ]
    return [*of, make_setup(schedule="scratch")]


def test_a_plan_counts_the_teachers_that_runs_share(grid: list[Setup], tmp_path: Path) -> None:
    planned = plan(grid, Workplace(tmp_path, "cpu"))
    assert len(planned.jobs) == 7
    assert len(planned.teachers) == 2
    skyline = next(job for job in planned.jobs if job.setup.reports == "teacher")
    assert skyline.work == 0
    assert planned.work == sum(job.work for job in planned.jobs) + 2 * skyline.teacher_work
    assert planned.pace is None


def test_work_is_three_passes_a_training_video_and_epoch(make_setup: MakeSetup, tmp_path: Path) -> None:
    one, two = (
        plan([make_setup(f"training.epochs={n}", schedule="scratch")], Workplace(tmp_path, "cpu")) for n in (1, 2)
    )
    setup = make_setup(schedule="scratch")
    parts = assemble(setup, open_data(setup), torch.device("cpu"))
    inner, outer, _ = count_macs(parts.models["student"], parts.splits.train.width, frames=4, slots=4)
    assert inner
    assert outer
    assert one.work == 3 * len(parts.splits.train) * (inner + outer)
    assert two.work == 2 * one.work


def test_what_is_answered_is_left_out_and_gives_the_pace(make_setup: MakeSetup, tmp_path: Path) -> None:
    done, left = make_setup(schedule="scratch"), make_setup(schedule="scratch", seed=1)
    place = Workplace(tmp_path, "cpu")
    answer(done, place)
    planned = plan([done, left], place)
    assert [setup.key for setup in planned.answered] == [done.key]
    assert [job.setup.key for job in planned.jobs] == [left.key]
    assert planned.pace is not None
    assert len(plan([done, left], dataclasses.replace(place, again=True)).jobs) == 2


def test_a_stored_teacher_is_not_planned_again(make_setup: MakeSetup, tmp_path: Path) -> None:
    place = Workplace(tmp_path, "cpu")
    answer(make_setup("training.threads=1", schedule="teacher"), place)
    student = make_setup("training.threads=1", schedule="serial")
    assert plan([student], place).teachers == {}
    assert len(plan([student], dataclasses.replace(place, retrain=True)).teachers) == 1


def test_every_run_that_asks_for_too_many_frames_is_told_before_the_first(
    make_setup: MakeSetup, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as told:
        plan([make_setup(k=13), make_setup(k=14), make_setup(k=12)], Workplace(tmp_path, "cpu"))
    assert [problem.split(" is ")[0] for problem in told.value.problems] == ["k = 13", "k = 14"]


def test_a_teacher_is_in_one_runs_hands_at_a_time_and_the_skyline_trains_it(grid: list[Setup], tmp_path: Path) -> None:
    given = sweep(plan(grid, Workplace(tmp_path, "cpu")), tmp_path, Scripted(answers)).given
    assert {setup.schedule.name for setup in given[:2]} == {"teacher"}
    assert sorted(s.key for s in given) == sorted(s.key for s in grid)


def test_a_run_whose_process_is_killed_is_tried_once_more(make_setup: MakeSetup, tmp_path: Path) -> None:
    setup, calls = make_setup(schedule="scratch"), list[int]()

    def dies_once(setup: Setup, workplace: Workplace) -> list[RunEvent]:
        calls.append(1)
        return answers(setup, workplace) if len(calls) > 1 else [Lost(setup.key, "killed")]

    sweep(plan([setup], Workplace(tmp_path, "cpu")), tmp_path, Scripted(dies_once))
    assert len(calls) == 2
    assert failures.load(tmp_path) == ([], [])


def test_a_run_that_dies_twice_is_a_row_with_its_reason_and_the_rest_goes_on(grid: list[Setup], tmp_path: Path) -> None:
    unlucky = grid[0].key

    def script(setup: Setup, workplace: Workplace) -> list[RunEvent]:
        return [Lost(setup.key, "ended by SIGKILL")] if setup.key == unlucky else answers(setup, workplace)

    sweep(plan(grid, Workplace(tmp_path, "cpu")), tmp_path, Scripted(script))
    ((failure,), _) = failures.load(tmp_path)
    assert (failure.id, failure.reason, failure.content["attempts"]) == (unlucky, "ended by SIGKILL", 2)
    assert len(list(tmp_path.glob("*.json"))) == len(grid) - 1


def test_where_the_leader_fails_another_run_trains_the_teacher(grid: list[Setup], tmp_path: Path) -> None:
    def script(setup: Setup, workplace: Workplace) -> list[RunEvent]:
        failed = [Failed(setup.key, "failed", "no")]
        return failed if setup.reports == "teacher" else answers(setup, workplace)

    given = sweep(plan(grid, Workplace(tmp_path, "cpu")), tmp_path, Scripted(script)).given
    assert len(given) == len(grid)
    assert len(failures.load(tmp_path)[0]) == 2


def test_retrain_trains_each_teacher_again_once(grid: list[Setup], tmp_path: Path) -> None:
    planned = plan(grid, Workplace(tmp_path, "cpu", retrain=True))
    places = sweep(planned, tmp_path, Scripted(answers), retrain=True).places
    retrained = {s.key for s in grid if any(place.retrain for place in places[s.key])}
    assert retrained == {s.key for s in grid if s.reports == "teacher"}
    assert all(place.again for given in places.values() for place in given)


def test_an_executor_that_forgets_a_run_costs_that_run_alone(grid: list[Setup], tmp_path: Path) -> None:
    class Forgetful(Scripted):
        def submit(self, job: RunJob) -> None:
            super().submit(job)
            if job.key == grid[0].key:
                del self._waiting[job.key]
                (tmp_path / f"{job.key}.json").unlink()

    given = sweep(plan(grid, Workplace(tmp_path, "cpu")), tmp_path, Forgetful(answers)).given
    assert [setup.key for setup in given].count(grid[0].key) == 2
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
    wrong: Callable[[], object], said: str, grid: list[Setup], tmp_path: Path
) -> None:
    with pytest.raises(PluginError) as told:
        sweep(plan(grid, Workplace(tmp_path, "cpu")), tmp_path, Wrong(wrong))
    assert str(told.value).startswith(f"the executor 'scripted' of somebody 1 {said}")
    assert len(list(tmp_path.glob("*.json"))) == 2
    assert len(plan(grid, Workplace(tmp_path, "cpu")).jobs) == len(grid)  # made up: of other data


@pytest.mark.parametrize("free", ["two", True, None])
def test_an_executor_whose_room_is_no_number_is_refused(free: object, make_setup: MakeSetup, tmp_path: Path) -> None:
    class Roomy(Scripted):
        free = property(lambda self: free)  # type: ignore[assignment]

    planned = plan([make_setup(schedule="scratch")], Workplace(tmp_path, "cpu"))
    with pytest.raises(PluginError, match=r"free is .*; it is a whole number"):
        Sweep(planned, Workplace(tmp_path, "cpu"), CheckedExecutor(SCRIPTED, Roomy(answers)), Watcher())


@pytest.mark.parametrize("shares", [True, False])
def test_a_run_knows_how_many_others_slow_it_down(shares: bool, grid: list[Setup], tmp_path: Path) -> None:
    script = type("Placed", (Scripted,), {"shares_machine": shares})(answers)
    places = sweep(plan(grid, Workplace(tmp_path, "cpu")), tmp_path, script).places
    assert {place.beside for given in places.values() for place in given} == {1 if shares else 0}


def test_a_packed_run_is_made_in_whatever_process_has_it(make_setup: MakeSetup, tmp_path: Path) -> None:
    setup, reported = make_setup(schedule="serial"), list[RunEvent]()
    job = pickle.loads(pickle.dumps(packed(setup, Workplace(tmp_path, "cpu"))))
    assert job.run(reported.append) == Finished(setup.key)
    kinds = [type(event).__name__ for event in reported if not isinstance(event, Message)]
    assert kinds == ["PhaseStarted", "EpochEnded", "EpochEnded"] * 2
    assert any(isinstance(event, Message) for event in reported)
    assert (tmp_path / f"{setup.key}.json").is_file()


def test_a_packed_run_never_raises(make_setup: MakeSetup, tmp_path: Path) -> None:
    def gone(event: RunEvent) -> None:
        raise BrokenPipeError("the sweep is gone")

    setup = make_setup(schedule="scratch")
    job = packed(setup, Workplace(tmp_path, "cpu"))
    assert job.run(gone) == Failed(setup.key, "failed", "BrokenPipeError: the sweep is gone")
    damaged = dataclasses.replace(job, packed=b"no pickle")
    assert isinstance(damaged.run(print), Failed)
    too_many = packed(make_setup("training.threads=9999", schedule="scratch"), Workplace(tmp_path, "cpu"))
    assert "more than this machine has" in too_many.run(print).reason


def test_a_result_that_is_damaged_before_it_is_read_costs_its_run_alone(grid: list[Setup], tmp_path: Path) -> None:
    def script(setup: Setup, workplace: Workplace) -> list[RunEvent]:
        events = answers(setup, workplace)
        if setup.key == grid[0].key:
            (tmp_path / f"{setup.key}.json").write_text("{")
        return events

    given = sweep(plan(grid, Workplace(tmp_path, "cpu")), tmp_path, Scripted(script)).given
    assert [setup.key for setup in given].count(grid[0].key) == 2
    assert {setup.key for setup in given} == {setup.key for setup in grid}
    assert "no readable result" in json.loads((tmp_path / "failures" / f"{grid[0].key}.json").read_text())["reason"]


def test_a_sweep_shows_the_best_answer_that_can_be_read(
    make_setup: MakeSetup, make_result: Callable[..., Result], tmp_path: Path
) -> None:
    results = [make_result(schedule="scratch", seed=seed) for seed in (0, 1)]
    setups = tuple(make_setup("data.train=64", schedule="scratch", seed=seed) for seed in (0, 1))
    results[0].path.write_text("{")
    board = Board(Plan((), setups, frozenset(), None), tmp_path / "results", metrics())
    assert f"{results[1].content['metrics']['gap']:.4f}" in str(list(board.render().renderables)[-1])
