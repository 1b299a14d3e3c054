"""Sweeps of one folder: what another process has in hand or made, and what is left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from other_process import Other, another_process
from scripted import SCRIPTED, MakeSetup, Scripted, answers, sweep

from distillbench.config.run_spec import RunSpec
from distillbench.experiments import shared_folder
from distillbench.experiments.context import RunContext
from distillbench.experiments.executor import CheckedExecutor
from distillbench.experiments.plan import Job, plan
from distillbench.experiments.sweep import Sweep, Watcher
from distillbench.interfaces import (
    Lost,
    RunEvent,
)
from distillbench.results.store import Result


class Meanwhile(Watcher):
    """Calls what is given while a sweep waits."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call, self.told = call, 0
        self.ended: list[str] = []

    def elsewhere(self) -> None:
        self.told += 1

    def finished(self, job: Job, result: Result) -> None:
        self.ended.append(job.spec.key)

    def waited(self) -> None:
        self.call()


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Other]:
    """Another process that sweeps the same folder."""
    if shared_folder.fcntl is None:
        pytest.skip("needs locks of files")
    monkeypatch.setattr(shared_folder, "_LOOK_AGAIN", 0.0)
    with another_process(tmp_path) as other:
        yield other


def beside(
    other: Callable[[], object], grid: list[RunSpec], script: Scripted, folder: Path, **place: Any
) -> Meanwhile:
    """Sweeps a grid, and calls what is given at every pause."""
    watcher, context = Meanwhile(other), RunContext(folder, "cpu", **place)
    Sweep(plan(grid, context), context, CheckedExecutor(SCRIPTED, script), watcher).run()
    assert sorted(watcher.ended) == sorted(spec.key for spec in grid)
    return watcher


def test_what_another_process_has_in_hand_is_left_to_it_and_made_if_it_does_not(
    grid: list[RunSpec], tmp_path: Path, other: Other
) -> None:
    planned = plan(grid, RunContext(tmp_path, "cpu"))
    teachers = {job.spec.key: job.teacher for job in planned.jobs}
    first, second = planned.teachers
    assert other.take(f"{first}.safetensors", f"{grid[-1].key}.json") is None
    script, left = Scripted(answers), list[int]()

    def meanwhile() -> None:
        if len(script.given) == 3 and not left:
            assert {teachers[spec.key] for spec in script.given} == {second}
            left.append(len(script.given))
            other.kill()

    watcher = beside(meanwhile, grid, script, tmp_path)
    assert left == [3]
    assert sorted(spec.key for spec in script.given) == sorted(spec.key for spec in grid)
    assert watcher.told == 1


def made_by_another(job: Job, folder: Path) -> None:
    """Writes a result that is of the data of a job."""
    answers(job.spec, RunContext(folder, "cpu"))
    path = folder / f"{job.spec.key}.json"
    content = json.loads(path.read_text())
    content["data"]["fingerprints"] = dict(job.data)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("place", [{}, {"again": True}, {"retrain": True}])
def test_what_another_process_made_meanwhile_is_not_made_again(
    place: dict[str, bool], grid: list[RunSpec], tmp_path: Path, other: Other
) -> None:
    planned = plan(grid, RunContext(tmp_path, "cpu"))
    taken = grid[-1], grid[0]
    first, _ = planned.teachers
    teacher = tmp_path / "teachers" / f"{first}.safetensors"
    assert other.take(teacher.name, *(f"{spec.key}.json" for spec in taken)) is None
    script = Scripted(answers)

    def meanwhile() -> None:
        if len(script.given) == 3 and not teacher.exists():
            teacher.parent.mkdir(exist_ok=True)
            teacher.touch()
            for job in planned.jobs:
                if job.spec in taken:
                    made_by_another(job, tmp_path)
            other.kill()

    beside(meanwhile, grid, script, tmp_path, **place)
    given = [spec.key for spec in script.given]
    assert sorted([*given, *(spec.key for spec in taken)]) == sorted(spec.key for spec in grid)
    retrained = {key for key, places in script.places.items() if places[0].retrain}
    assert len(retrained) == (1 if place.get("retrain") else 0)


@pytest.mark.parametrize("damage", [{"data": {"fingerprints": {"train": "other"}}}, {"id": 3}])
def test_what_another_process_made_of_other_data_or_left_damaged_is_made(
    damage: dict[str, Any], make_spec: MakeSetup, tmp_path: Path, other: Other
) -> None:
    spec = make_spec(schedule="scratch")
    (job,) = plan([spec], RunContext(tmp_path, "cpu")).jobs
    path = tmp_path / f"{spec.key}.json"
    assert other.take(path.name) is None
    script = Scripted(answers)

    def meanwhile() -> None:
        if not path.exists():
            made_by_another(job, tmp_path)
            content = json.loads(path.read_text())
            content["data"] |= damage.get("data", {})
            path.write_text(json.dumps({**content, "id": damage.get("id", content["id"])}))
            other.kill()

    beside(meanwhile, [spec], script, tmp_path)
    assert script.given == [spec]


def test_a_run_and_its_teacher_are_in_hand_until_they_are_stored(
    grid: list[RunSpec], tmp_path: Path, other: Other
) -> None:
    key = grid[0].key
    (job,) = plan(grid[:1], RunContext(tmp_path, "cpu")).jobs
    seen: list[tuple[bool, bool]] = []

    class Asked(Scripted):
        def events(self, timeout: float) -> Iterator[RunEvent]:
            for event in super().events(timeout):
                yield event  # and goes on once the sweep has seen to it
                names = f"{key}.json", f"{job.teacher}.safetensors"
                free = [other.take(name) is None for name in names]
                other.leave(*names)
                seen.append((free[0], free[1]))

    beside(lambda: None, grid[:1], Asked(answers), tmp_path)
    assert seen == [(False, False), (False, True), (True, True)]


def test_a_run_that_is_begun_again_stays_in_hand(
    grid: list[RunSpec], tmp_path: Path, other: Other
) -> None:
    (job,) = plan(grid[:1], RunContext(tmp_path, "cpu")).jobs
    names = f"{job.spec.key}.json", f"{job.teacher}.safetensors"
    busy: list[str | None] = []

    def script(spec: RunSpec, context: RunContext) -> list[RunEvent]:
        busy.extend(other.take(name) for name in names)
        return answers(spec, context) if len(busy) > 2 else [Lost(spec.key, "gone")]

    class Failing(Meanwhile):
        def failed(self, *_: object) -> None:
            busy.extend(other.take(name) for name in names)

    context = RunContext(tmp_path, "cpu")
    checked = CheckedExecutor(SCRIPTED, Scripted(script))
    Sweep(plan(grid[:1], context), context, checked, Failing(lambda: None)).run()
    assert busy == [*names] * 3
    assert [other.take(name) for name in names] == [None, None]


def test_nothing_stays_in_hand_of_a_sweep_that_is_interrupted(
    grid: list[RunSpec], tmp_path: Path, other: Other
) -> None:
    def interrupted(spec: RunSpec, context: RunContext) -> list[RunEvent]:
        raise KeyboardInterrupt

    planned = plan(grid, RunContext(tmp_path, "cpu"))
    with pytest.raises(KeyboardInterrupt):
        sweep(planned, tmp_path, Scripted(interrupted))
    files = [f"{spec.key}.json" for spec in grid] + [f"{t}.safetensors" for t in planned.teachers]
    assert other.take(*files) is None


def test_a_sweep_that_is_alone_never_waits_for_others(
    grid: list[RunSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("distillbench.experiments.sweep.time.sleep", waits.append)
    script = Scripted(answers)
    script.count = 1
    sweep(plan(grid, RunContext(tmp_path, "cpu")), tmp_path, script)
    assert len(script.given) == len(grid)
    assert waits == []
