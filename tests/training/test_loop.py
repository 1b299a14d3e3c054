"""The training loop."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from running import metrics_for
from torch import Tensor

from distillbench.config.run_spec import RunSpec
from distillbench.errors import TrainingError
from distillbench.interfaces import LossBatch, Output
from distillbench.training.build import Experiment, LossKey, assemble, open_data
from distillbench.training.callbacks import Observer
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.loop import fit
from distillbench.training.teacher_store import TeacherStore

CPU = torch.device("cpu")


def build(spec: RunSpec) -> Experiment:
    return assemble(spec, open_data(spec), CPU)


def train(
    experiment: Experiment, folder: Path, observer: Observer | None = None, minutes: float = 5.0
) -> list[dict[str, Any]]:
    checkpoints = Checkpoints(folder / "checkpoint.safetensors", experiment.spec.key, minutes)
    return fit(
        experiment,
        metrics_for(experiment),
        TeacherStore(folder / "teachers"),
        checkpoints,
        observer or Observer(),
    ).history


def weights(experiment: Experiment) -> dict[str, Tensor]:
    return {
        f"{n}.{name}": t.clone()
        for n, model in experiment.models.items()
        for name, t in model.state_dict().items()
    }


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def without_time(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


class Modes(Observer):
    """Records the mode of every network at each step."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.phase, self.seen = experiment, "", []

    def phase_started(self, name: str, epochs: int, steps: int, done: int) -> None:
        self.phase = name

    def step_ended(self) -> None:
        for network, model in self.experiment.models.items():
            learns = any(p.requires_grad for p in model.encoder.parameters())
            modes = {module.training for module in model.encoder.modules()}
            self.seen.append(
                (
                    self.phase,
                    network,
                    learns,
                    modes,
                    any(p.grad is not None for p in model.encoder.parameters()),
                )
            )


@pytest.mark.parametrize("schedule", ["serial", "parallel"])
def test_learners_are_in_training_mode_and_other_networks_are_frozen(
    make_spec: Callable[..., RunSpec], tmp_path: Path, schedule: str
) -> None:
    experiment = build(make_spec(schedule=schedule))
    modes = Modes(experiment)
    train(experiment, tmp_path, modes)
    assert len(modes.seen) > 8
    for phase, network, learns, training, _ in modes.seen:
        expected = phase in ("both", network)
        assert learns is expected
        assert training == {expected}


def test_the_students_losses_do_not_train_a_teacher_with_a_separate_head(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    spec = make_spec("schedule.head=separate", schedule="parallel")
    other = make_spec("schedule.head=separate", schedule="parallel", loss="rep:50")
    one, two = build(spec), build(other)
    train(one, tmp_path / "one")
    train(two, tmp_path / "two")
    assert same(one.models["teacher"].state_dict(), two.models["teacher"].state_dict())
    assert not same(one.models["student"].state_dict(), two.models["student"].state_dict())


def test_the_students_losses_train_the_teacher_through_a_tied_head(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    fp32 = "training.precision=fp32"
    one, two = (
        build(make_spec(fp32, schedule="parallel", loss=loss)) for loss in ("rep,ce,pred", "rep")
    )
    train(one, tmp_path / "one")
    train(two, tmp_path / "two")
    teachers = [weights(experiment) for experiment in (one, two)]
    for prefix in ("teacher.head.", "teacher.encoder."):
        selected = [{n: t for n, t in w.items() if n.startswith(prefix)} for w in teachers]
        assert not same(*selected)


def test_the_same_seed_gives_bit_identical_results(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    one, two = build(make_spec()), build(make_spec())
    history = train(one, tmp_path / "one")
    assert without_time(history) == without_time(train(two, tmp_path / "two"))
    assert same(weights(one), weights(two))


def test_a_stored_teacher_has_the_weights_that_were_trained(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    first, second = build(make_spec()), build(make_spec(loss="ce,pred"))
    train(first, tmp_path)
    assert len(list((tmp_path / "teachers").glob("*.safetensors"))) == 1
    (tmp_path / "checkpoint.safetensors").unlink()
    history = train(second, tmp_path)
    assert len(list((tmp_path / "teachers").glob("*.safetensors"))) == 1
    assert same(first.models["teacher"].state_dict(), second.models["teacher"].state_dict())
    assert [row["phase"] for row in history] == ["teacher"] * 2 + ["student"] * 2


@pytest.mark.parametrize(
    "change",
    [
        "teacher.init=default",
        "training.epochs=3",
        "head.mixtures=3",
        "data.noise=2",
        "training.l2=1",
    ],
)
def test_a_teacher_trained_with_other_settings_has_another_key(
    make_spec: Callable[..., RunSpec], tmp_path: Path, change: str
) -> None:
    train(build(make_spec()), tmp_path)
    (tmp_path / "checkpoint.safetensors").unlink()
    train(build(make_spec(change)), tmp_path)
    assert len(list((tmp_path / "teachers").glob("*.safetensors"))) == 2


class Killed(Exception):  # noqa: N818 - it stands for a signal, not an error
    """Stands for kill -9: nothing is cleaned up."""


class KillAfter(Observer):
    def __init__(self, steps: int) -> None:
        self.left = steps

    def step_ended(self) -> None:
        if not self.left:
            raise Killed
        self.left -= 1


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [
        *(("serial", steps) for steps in (1, 6, 9, 15)),
        *(("parallel", steps) for steps in (1, 3, 7)),
    ],
)
def test_a_killed_run_resumes_to_bit_identical_results(
    make_spec: Callable[..., RunSpec], tmp_path: Path, steps: int, schedule: str
) -> None:
    whole = build(make_spec(schedule=schedule))
    history = train(whole, tmp_path / "whole")
    for minutes in (0.0, 5.0):  # a checkpoint after every step, or after every epoch
        folder = tmp_path / f"broken{minutes}"
        with pytest.raises(Killed):
            train(build(make_spec(schedule=schedule)), folder, KillAfter(steps), minutes)
        broken = build(make_spec(schedule=schedule))
        resumed = train(broken, folder, minutes=minutes)
        assert without_time(resumed) == without_time(history)
        assert same(weights(whole), weights(broken))


def test_the_checkpoint_of_another_run_is_not_resumed(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train(build(make_spec()), tmp_path, KillAfter(6), 0.0)
    fresh, after = build(make_spec(seed=1)), build(make_spec(seed=1))
    train(fresh, tmp_path / "fresh")
    train(after, tmp_path)
    assert same(weights(fresh), weights(after))


def test_a_term_that_becomes_nan_stops_the_run_and_is_named(
    make_spec: Callable[..., RunSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = build(make_spec(schedule="scratch"))
    calls = iter(range(10_000))

    def broken(output: Output, batch: LossBatch) -> Tensor:
        return output.logits.sum() * (float("nan") if next(calls) > 5 else 1.0)

    monkeypatch.setattr(experiment.losses[LossKey("student", "ce")], "forward", broken)
    with pytest.raises(
        TrainingError,
        match=r"phase 'student', epoch 2: the student's 'ce' became NaN.*epoch 1 is saved in .*safetensors",
    ):
        train(experiment, tmp_path)
    assert (tmp_path / "checkpoint.safetensors").is_file()


def test_each_learner_ends_a_phase_with_its_best_epoch(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    experiment = build(
        make_spec("training.epochs=5", "training.learning_rate=0.3", schedule="scratch")
    )
    kept: list[dict[str, Tensor]] = []

    class Keep(Observer):
        def epoch_ended(self, row: Mapping[str, Any]) -> None:
            kept.append(copy.deepcopy(experiment.models["student"].state_dict()))

    history = train(experiment, tmp_path, Keep())
    gaps = [row["networks"]["student"]["validation"]["gap"] for row in history]
    assert same(kept[gaps.index(max(gaps))], experiment.models["student"].state_dict())
    assert history[-1]["networks"]["student"]["best"] == gaps.index(max(gaps)) + 1


@pytest.mark.parametrize("patience", [1, 2])
def test_a_phase_ends_once_nothing_has_improved_for_so_many_epochs(
    make_spec: Callable[..., RunSpec], tmp_path: Path, patience: int
) -> None:
    # Without a step nothing changes, so the first epoch stays the best.
    still = make_spec(
        f"training.patience={patience}", "training.learning_rate=0", "training.epochs=9"
    )
    history = train(build(still), tmp_path)
    assert {row["phase"] for row in history} == {"teacher", "student"}
    assert [row["epoch"] for row in history] == 2 * list(range(1, patience + 2))
    assert {found["best"] for row in history for found in row["networks"].values()} == {1}


def test_patience_asks_for_no_epoch_that_is_better_and_changes_nothing_until_then(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    whole, patient = (
        without_time(train(build(make_spec(*given, "training.epochs=12")), tmp_path / str(number)))
        for number, given in enumerate([(), ("training.patience=2",)])
    )
    for phase in ("teacher", "student"):
        all_epochs, spent = ([r for r in h if r["phase"] == phase] for h in (whole, patient))
        if phase == "teacher":
            assert spent == all_epochs[: len(spent)]
        last = spent[-1]["networks"][phase]
        assert len(spent) == 12 or len(spent) - last["best"] == 2
        assert all(row["epoch"] - row["networks"][phase]["best"] < 2 for row in spent[:-1])
    assert len(patient) < len(whole)


@pytest.mark.parametrize("step", [1, 8, 12])
def test_a_killed_phase_ends_where_patience_would_have_ended_it(
    make_spec: Callable[..., RunSpec], tmp_path: Path, step: int
) -> None:
    spec = make_spec("training.patience=1", "training.learning_rate=0", "training.epochs=9")
    whole = without_time(train(build(spec), tmp_path / "whole"))
    with pytest.raises(Killed):
        train(build(spec), tmp_path / "killed", KillAfter(step))
    assert without_time(train(build(spec), tmp_path / "killed")) == whole


def test_a_run_without_patience_has_the_key_that_it_had_before_there_was_any(
    make_spec: Callable[..., RunSpec],
) -> None:
    assert "patience" not in make_spec("training.patience=0").describe()["training"]
    without, with_three = make_spec("training.patience=0"), make_spec("training.patience=3")
    assert without.key != with_three.key


def test_a_students_initial_weights_do_not_depend_on_other_networks(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    scratch, serial = build(make_spec(schedule="scratch")), build(make_spec(schedule="serial"))
    assert same(scratch.models["student"].state_dict(), serial.models["student"].state_dict())
    assert "teacher" not in scratch.models


def test_a_serial_student_starts_with_the_teachers_head(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    experiment = build(make_spec("training.learning_rate=0"))
    train(experiment, tmp_path)
    assert same(
        experiment.models["student"].head.state_dict(),
        experiment.models["teacher"].head.state_dict(),
    )


def test_a_tied_head_is_trained_by_both_networks_and_then_copied_to_each(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    experiment = build(make_spec("training.epochs=1", schedule="parallel"))
    before = copy.deepcopy(experiment.models["teacher"].head.state_dict())
    train(experiment, tmp_path)
    assert same(
        experiment.models["student"].head.state_dict(),
        experiment.models["teacher"].head.state_dict(),
    )
    assert not same(before, experiment.models["teacher"].head.state_dict())
    assert experiment.models["student"].head is not experiment.models["teacher"].head


def test_rep_alone_first_matches_with_a_frozen_head_and_then_finetunes(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    history = train(build(make_spec("schedule.finetune_epochs=1", loss="rep")), tmp_path)
    assert [row["phase"] for row in history] == ["teacher", "teacher", "match", "match", "finetune"]
    assert set(history[2]["networks"]["student"]["terms"]) == {"rep"}
    assert set(history[4]["networks"]["student"]["terms"]) == {"ce"}


def test_intermediate_matching_runs_with_an_uncached_teacher(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    history = train(build(make_spec(loss="rep-intermediate,ce")), tmp_path)
    terms = history[-1]["networks"]["student"]["terms"]
    assert terms["rep-intermediate"] > 0


def test_caching_the_teachers_outputs_changes_results_only_by_half_precision_rounding(
    make_spec: Callable[..., RunSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_history = train(build(make_spec()), tmp_path / "cached")
    monkeypatch.setattr("distillbench.training.objective.needs_states", lambda spec, phase: True)
    live_history = train(build(make_spec()), tmp_path / "live")
    for term in ("rep", "ce", "pred"):
        cached, live = (
            rows[-1]["networks"]["student"]["terms"][term]
            for rows in (cached_history, live_history)
        )
        assert cached == pytest.approx(live, rel=2e-3)


def test_a_teacher_with_the_students_view_sees_only_the_students_frames(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    seen: list[tuple[int, bool]] = []
    experiment = build(make_spec("schedule.targets=same-frames", loss="ce,pred"))
    experiment.models["teacher"].encoder.register_forward_pre_hook(
        lambda module, given: seen.append((given[0].frames.shape[1], module.training))
    )
    train(experiment, tmp_path)
    assert experiment.spec.k in {frames for frames, training in seen if not training}
    assert {frames for frames, training in seen if training} == {
        int(experiment.splits.train.lengths.max())
    }


def test_a_teacher_is_the_same_wherever_its_phase_stands(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    spec = make_spec(schedule="serial", loss="ce")
    teacher, student = spec.phases
    one = build(spec)
    two = build(dataclasses.replace(spec, phases=(student, teacher)))
    train(one, tmp_path / "one")
    train(two, tmp_path / "two")
    assert same(one.models["teacher"].state_dict(), two.models["teacher"].state_dict())
