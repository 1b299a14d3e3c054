"""Two processes get the results of one."""

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

pytestmark = [
    pytest.mark.timeout(200),
    pytest.mark.xdist_group("two processes"),  # one launch serves them all
]


class Killed(Exception):  # noqa: N818 - it stands for a signal, not an error
    """Stands for kill -9."""


class KillAfter(Observer):
    def __init__(self, steps: int) -> None:
        self.left = steps

    def step_ended(self) -> None:
        self.left -= 1
        if not self.left:
            raise Killed


def leave_a_checkpoint(folder) -> None:
    """Trains in one process, which is killed in the middle of the student's first epoch."""
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


@pytest.fixture(scope="session")
def found(tmp_path_factory):
    """The results of two processes, by scenario, from one launch."""
    folder = tmp_path_factory.mktemp("distributed")
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
        "ranked",
        "rewarded",
        "mixed",
        "mixed_states",
        "projected",
        "uncached",
    ],
)
def test_two_processes_end_with_the_weights_and_history_of_one(found, tmp_path, scenario) -> None:
    single = SCENARIOS[scenario](SINGLE, tmp_path)
    first, second = found[0][scenario], found[1][scenario]
    assert differences(first["weights"], second["weights"]) == 0.0
    assert differences(first["weights"], single["weights"]) < 5e-5
    assert len(first["history"]) == len(single["history"])
    for row, expected in zip(first["history"], single["history"], strict=True):
        for network, numbers in expected["networks"].items():
            found_numbers = row["networks"][network]
            assert found_numbers["terms"] == pytest.approx(numbers["terms"], rel=1e-4, abs=1e-6)
            assert found_numbers["validation"] == pytest.approx(numbers["validation"], abs=1e-6)


def test_the_weights_of_a_loss_that_compares_videos_are_trained(found) -> None:
    scale = found[0]["relational"]["weights"]["student.relational.teacher.scale"]
    assert abs(float(scale) - 0.5) > 1e-3


def test_evaluation_by_two_processes_is_bit_identical_for_any_batch_size(found, tmp_path) -> None:
    single = SCENARIOS["evaluated"](SINGLE, tmp_path)
    for computed in (found[0]["evaluated"], found[1]["evaluated"]):
        for evaluation, expected in zip(computed, single, strict=True):
            assert evaluation["metrics"] == expected["metrics"]
            assert evaluation["frames"] == expected["frames"]
            for name, array in expected["predictions"].items():
                assert torch.equal(evaluation["predictions"][name], array)


def test_two_processes_cache_the_same_teacher_outputs_as_one(found, tmp_path) -> None:
    single = SCENARIOS["cached_outputs"](SINGLE, tmp_path)
    for computed in (found[0]["cached_outputs"], found[1]["cached_outputs"]):
        assert all(torch.equal(one, other) for one, other in zip(computed, single, strict=True))


def test_two_processes_resume_from_the_checkpoint_of_one(found, tmp_path) -> None:
    single = trained(SINGLE, tmp_path, loss="rep,ce")
    assert differences(found[0]["resumed"]["weights"], single["weights"]) < 5e-5
    assert [row["epoch"] for row in found[1]["resumed"]["history"]] == [1, 2, 1, 2]


def test_one_process_writes_the_result_and_all_return_it(found, tmp_path) -> None:
    single = SCENARIOS["finished"](SINGLE, tmp_path)
    first, second = found[0]["finished"], found[1]["finished"]
    assert first["content"]["metrics"] == pytest.approx(single["content"]["metrics"], abs=1e-6)
    assert first["content"]["fidelity"] == pytest.approx(single["content"]["fidelity"], rel=1e-4)
    assert first["content"]["id"] == single["content"]["id"]
    assert first["content"]["machine"]["processes"] == 2
    assert single["content"]["machine"]["processes"] == 1
    assert second == first
    assert first["files"] == single["files"]
    assert first["again"] == first["content"]["finished"]
