"""Two processes find what one finds."""

from __future__ import annotations

import pytest
import torch
from distributed.launch import ended, launch
from distributed.scenarios import SCENARIOS, experiment_of, trained
from running import metrics_for

from distillbench.distributed.processes import SINGLE
from distillbench.training.callbacks import Observer
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.loop import fit
from distillbench.training.teacher_store import TeacherStore

pytestmark = pytest.mark.timeout(200)


class Killed(Exception):  # noqa: N818 - it stands for a signal, not for an error
    """Stands for kill -9."""


class KillAfter(Observer):
    def __init__(self, steps: int) -> None:
        self.left = steps

    def step_ended(self) -> None:
        self.left -= 1
        if not self.left:
            raise Killed


def leave_a_checkpoint(folder) -> None:
    """Trains alone, and is killed in the middle of the student's first epoch."""
    experiment = experiment_of(SINGLE, loss="rep,ce")
    checkpoints = Checkpoints(folder / "checkpoint.safetensors", experiment.spec.key, minutes=0.0)
    with pytest.raises(Killed):
        fit(
            experiment,
            metrics_for(experiment),
            TeacherStore(folder / "teachers"),
            checkpoints,
            KillAfter(8),
        )


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two processes found, by scenario, having met once."""
    folder = tmp_path_factory.mktemp("together")
    leave_a_checkpoint(folder / "left")
    results = ended(launch(2, ["-m", "distributed.member", str(folder), *SCENARIOS]), 180)
    assert [code for code, _ in results] == [0, 0], "\n".join(text for _, text in results)
    return [torch.load(folder / f"found{rank}.pt", weights_only=False) for rank in (0, 1)]


def differences(one, two) -> float:
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).abs().max()) for name in one)


@pytest.mark.parametrize(
    "scenario",
    [
        "serial",
        "parallel",
        "shuffled",
        "relational",
        "states",
        "shuffled_states",
        "same_frames",
        "uncached",
    ],
)
def test_two_processes_end_with_the_weights_and_the_numbers_of_one(
    found, tmp_path, scenario
) -> None:
    alone = SCENARIOS[scenario](SINGLE, tmp_path)
    ours, theirs = found[0][scenario], found[1][scenario]
    assert differences(ours["weights"], theirs["weights"]) == 0.0
    assert differences(ours["weights"], alone["weights"]) < 5e-5
    assert len(ours["history"]) == len(alone["history"])
    for row, expected in zip(ours["history"], alone["history"], strict=True):
        for network, told in expected["networks"].items():
            assert row["networks"][network]["terms"] == pytest.approx(
                told["terms"], rel=1e-4, abs=1e-6
            )
            assert row["networks"][network]["validation"] == pytest.approx(
                told["validation"], abs=1e-6
            )


def test_the_loss_that_compares_videos_learns_its_own_weights_once(found) -> None:
    assert (
        abs(float(found[0]["relational"]["weights"]["student.relational.teacher.scale"]) - 0.5)
        > 1e-3
    )


def test_a_split_is_scored_to_the_last_bit_as_by_one_process_however_its_batches_fall(
    found, tmp_path
) -> None:
    alone = SCENARIOS["evaluated"](SINGLE, tmp_path)
    for of_one in (found[0]["evaluated"], found[1]["evaluated"]):
        for ours, expected in zip(of_one, alone, strict=True):
            assert ours["metrics"] == expected["metrics"]
            assert ours["frames"] == expected["frames"]
            assert all(
                torch.equal(ours["kept"][name], expected["kept"][name]) for name in expected["kept"]
            )


def test_a_teacher_is_asked_by_all_and_says_to_each_what_it_says_to_one(found, tmp_path) -> None:
    alone = SCENARIOS["signals"](SINGLE, tmp_path)
    for ours in (found[0]["signals"], found[1]["signals"]):
        assert all(torch.equal(one, other) for one, other in zip(ours, alone, strict=True))


def test_two_processes_go_on_from_the_checkpoint_of_one(found, tmp_path) -> None:
    alone = trained(SINGLE, tmp_path, loss="rep,ce")
    assert differences(found[0]["resumed"]["weights"], alone["weights"]) < 5e-5
    assert [row["epoch"] for row in found[1]["resumed"]["history"]] == [1, 2, 1, 2]


def test_one_process_writes_the_result_and_all_return_it(found, tmp_path) -> None:
    alone = SCENARIOS["finished"](SINGLE, tmp_path)
    ours, theirs = found[0]["finished"], found[1]["finished"]
    assert ours["content"]["metrics"] == pytest.approx(alone["content"]["metrics"], abs=1e-6)
    assert ours["content"]["fidelity"] == pytest.approx(alone["content"]["fidelity"], rel=1e-4)
    assert ours["content"]["id"] == alone["content"]["id"]
    assert ours["content"]["machine"]["processes"] == 2
    assert alone["content"]["machine"]["processes"] == 1
    assert theirs == ours
    assert ours["files"] == alone["files"]
    assert ours["again"] == ours["content"]["finished"]
