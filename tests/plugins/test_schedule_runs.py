"""The schedules of the literature from the first step to the row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from running import metrics_for, run_experiment
from torch import Tensor, nn

from distillbench.config.run_spec import RunSpec
from distillbench.errors import ConfigError
from distillbench.experiments.context import RunContext
from distillbench.training.build import Experiment, assemble, open_data
from distillbench.training.callbacks import Observer
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.loop import fit
from distillbench.training.teacher_store import TeacherStore

ONE = ["training.epochs=1", "training.threads=1"]
FRAMES = ["schedule.frames=10,7,3"]
RUNS: dict[str, tuple[list[str], list[str]]] = {
    "mutual": (["schedule.peers=3"], ["student", "peer2", "peer3"]),
    "born-again": ([], ["student", "student", "student"]),
    "assistants": (FRAMES, ["teacher", "assistant10", "assistant7", "student"]),
    "mean-teacher": (["schedule.decay=0.5"], ["student"]),
    "function-matching": (["schedule.epochs_factor=1"], ["teacher", "student"]),
    "curriculum": ([*FRAMES, "training.epochs=4"], ["teacher"] * 4 + ["student"] * 4),
    "any-k": (FRAMES, ["student"]),
    "ensemble": (["schedule.teachers=2"], ["teacher", "teacher2", "student"]),
    "simkd": (["student.cell_size=5"], ["teacher", "student"]),
    "early-teacher": (["training.epochs=2"], ["teacher", "student", "student"]),
    "annealed": ([], ["teacher", "student"]),
}
"""By schedule: settings, and the networks whose epochs are validated, in order."""
MakeSpec = Callable[..., RunSpec]


@pytest.mark.parametrize("schedule", RUNS)
def test_it_runs_to_a_row(schedule: str, make_spec: MakeSpec, tmp_path: Path) -> None:
    settings, learned = RUNS[schedule]
    spec = make_spec(*ONE, *settings, schedule=schedule)
    content = run_experiment(spec, RunContext(tmp_path, "cpu")).content
    assert [name for row in content["history"] for name in row["networks"]] == learned
    assert content["network"] == "student"
    assert content["cost"]["frames_read"] == 4
    assert content["metrics"]["gap"] > 0


def experiment_of(spec: RunSpec) -> Experiment:
    return assemble(spec, open_data(spec), torch.device("cpu"))


def train(experiment: Experiment, folder: Path, observer: Observer | None = None) -> None:
    fit(
        experiment,
        metrics_for(experiment),
        TeacherStore(folder / "teachers"),
        Checkpoints(folder / "checkpoint.safetensors", experiment.spec.key),
        observer or Observer(),
    )


def weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


class FramesSeen(Observer):
    """Notes how many frames the student's encoder is shown in training, by epoch."""

    def __init__(self, experiment: Experiment) -> None:
        self.epochs: list[set[int]] = [set()]
        encoder = experiment.models["student"].encoder
        encoder.register_forward_pre_hook(self._note)

    def _note(self, encoder: nn.Module, given: tuple[Any, ...]) -> None:
        if encoder.training and torch.is_grad_enabled():
            self.epochs[-1].add(int(given[0].lengths.max()))

    def epoch_ended(self, row: Any) -> None:
        self.epochs.append(set())


def seen(spec: RunSpec, folder: Path) -> list[set[int]]:
    experiment = experiment_of(spec)
    observer = FramesSeen(experiment)
    train(experiment, folder, observer)
    return observer.epochs


def test_a_curriculum_shows_fewer_frames_from_stage_to_stage(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(*FRAMES, *ONE, "training.epochs=4", schedule="curriculum")
    *_, all_frames, ten, seven, own, after = seen(spec, tmp_path)
    assert (all_frames, ten, seven, own, after) == ({12}, {10}, {7}, {4}, set())


def test_a_student_of_any_k_sees_every_number_of_frames_in_every_epoch(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(*FRAMES, "training.epochs=2", schedule="any-k")
    assert seen(spec, tmp_path) == [{12, 10, 7, 4, 3}, {12, 10, 7, 4, 3}, set()]


def test_mutual_learning_of_n_peers_moves_n_different_networks(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    experiment = experiment_of(make_spec("schedule.peers=3", *ONE, schedule="mutual"))
    before = {name: weights(model) for name, model in experiment.models.items()}
    assert len(before) == 3
    assert len({float(values.sum()) for values in before.values()}) == 3, "they begin differently"
    train(experiment, tmp_path)
    assert all(
        not torch.equal(weights(model), before[name]) for name, model in experiment.models.items()
    )


def test_the_first_teacher_of_an_ensemble_is_the_one_of_other_schedules(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    train(experiment_of(make_spec(*ONE, schedule="teacher")), tmp_path)
    experiment = experiment_of(make_spec("schedule.teachers=2", *ONE, schedule="ensemble"))
    messages: list[str] = []
    observer = Observer()
    observer.message = messages.append  # type: ignore[method-assign, assignment]
    train(experiment, tmp_path, observer)
    assert sum("the teacher was trained before" in message for message in messages) == 1
    one, other = (weights(experiment.models[name]) for name in ("teacher", "teacher2"))
    assert not torch.equal(one, other)


def test_an_early_teacher_is_the_one_of_that_epoch(make_spec: MakeSpec, tmp_path: Path) -> None:
    whole = experiment_of(make_spec("training.epochs=3", "training.threads=1", schedule="teacher"))
    kept: list[Tensor] = []

    class Keep(Observer):
        def epoch_ended(self, row: Any) -> None:
            kept.append(weights(whole.models["teacher"]))

    train(whole, tmp_path / "whole", Keep())
    settings = ["training.epochs=3", "training.threads=1", "schedule.share=0.4"]
    early = experiment_of(make_spec(*settings, schedule="early-teacher"))
    train(early, tmp_path / "early")
    assert torch.equal(weights(early.models["teacher"]), kept[0])


def test_a_wrong_knob_stops_the_run_before_training(make_spec: MakeSpec) -> None:
    with pytest.raises(
        ConfigError, match="schedule mutual: peers=1 is not an integer from 2 to 100"
    ):
        make_spec("schedule.peers=1", schedule="mutual")


def test_mixed_videos_and_a_loss_of_whole_labels_are_refused(make_spec: MakeSpec) -> None:
    spec = make_spec(schedule="function-matching", loss="ce,dkd")
    assert any("mixes videos, and the loss 'dkd'" in conflict for conflict in spec.conflicts)


def test_a_step_that_no_video_has_is_refused(make_spec: MakeSpec) -> None:
    spec = make_spec("schedule.frames=13", schedule="assistants")
    with pytest.raises(ConfigError, match="k = 13 is more than any video has"):
        experiment_of(spec)
