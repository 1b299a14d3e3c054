from __future__ import annotations

from dataclasses import replace

import pytest

from distillbench.errors import ConfigError
from distillbench.interfaces import Network, Phase, TrainingSchedule
from distillbench_plugins.schedules.parallel import Parallel
from distillbench_plugins.schedules.scratch import Scratch
from distillbench_plugins.schedules.serial import Serial
from distillbench_plugins.schedules.teacher import Teacher

THREE = {"rep": 1.0, "ce": 1.0, "pred": 0.5}
EVERY = [Scratch, Teacher, Parallel, Serial]


def epochs_of(schedule: TrainingSchedule, network: Network, epochs: int) -> int:
    return sum(phase.epochs for phase in schedule.phases(epochs) if network in phase.objectives)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("epochs", [1, 7, 100])
def test_every_learner_gets_the_epochs_asked_for(kind: type[TrainingSchedule], epochs: int) -> None:
    schedule = kind(THREE)  # type: ignore[call-arg]
    learners = {network for phase in schedule.phases(epochs) for network in phase.objectives}
    assert all(epochs_of(schedule, network, epochs) == epochs for network in learners)
    assert ("student" in learners) == schedule.trains_student


@pytest.mark.parametrize("kind", EVERY)
def test_phases_are_the_same_when_asked_again_whatever_was_done_to_the_answer(kind: type[TrainingSchedule]) -> None:
    objective = dict(THREE)
    schedule = kind(objective)  # type: ignore[call-arg]
    first = schedule.phases(5)
    objective["ce"] = 99.0
    for phase in first:
        for losses in phase.objectives.values():
            losses["spoilt"] = 1.0  # type: ignore[index]
    assert all("spoilt" not in losses for phase in schedule.phases(5) for losses in phase.objectives.values())
    assert kind(THREE).phases(5) == schedule.phases(5)  # type: ignore[call-arg]


def test_scratch_learns_from_labels_alone_with_the_weight_they_were_given() -> None:
    assert Scratch({"rep": 1.0, "ce": 2.0}).phases(4) == [Phase("student", 4, {"student": {"ce": 2.0}}, guides={})]
    assert Scratch({"rep": 1.0}).phases(4) == [Phase("student", 4, {"student": {"ce": 1.0}}, guides={})]


def test_the_skyline_trains_no_student_and_shares_serials_first_phase() -> None:
    assert not Teacher.trains_student
    assert Teacher(THREE).phases(4)[0] == Serial(THREE).phases(4)[0]


def test_serial_trains_the_student_on_the_whole_objective_with_a_copy_of_the_teachers_head() -> None:
    teacher, student = Serial(THREE).phases(5)
    assert teacher == Phase("teacher", 5, {"teacher": {"ce": 1.0}}, guides={})
    assert student == Phase("student", 5, {"student": THREE}, head="copy")


@pytest.mark.parametrize("objective", [{"rep": 1.0}, {"rep-intermediate": 1.0}, {"rep": 1.0, "rep-intermediate": 1.0}])
def test_serial_matches_encodings_alone_before_it_fine_tunes_with_the_teachers_classifier(
    objective: dict[str, float],
) -> None:
    _, match, finetune = Serial(objective).phases(5)
    assert match == Phase("match", 5, {"student": objective}, head="frozen")
    assert finetune == Phase("finetune", 3, {"student": {"ce": 1.0}}, guides={}, head="copy")


def test_serial_can_fine_tune_the_students_own_classifier_as_the_released_code_does() -> None:
    _, match, finetune = Serial({"rep": 1.0}, finetune_head="own", finetune_epochs=2).phases(5)
    assert (match.head, finetune.head, finetune.epochs) == ("separate", "separate", 2)


@pytest.mark.parametrize("head", ["copy", "tied", "frozen", "separate"])
def test_the_head_is_shared_as_asked(head: str) -> None:
    assert Serial(THREE, head=head).phases(5)[1].head == head  # type: ignore[arg-type]
    assert Parallel(THREE, head=head).phases(5)[0].head == head  # type: ignore[arg-type]


def test_parallel_trains_both_at_once_under_one_tied_head() -> None:
    (both,) = Parallel({"rep": 1.0}).phases(5)
    assert both.epochs == 5
    assert both.objectives == {"teacher": {"ce": 1.0}, "student": {"rep": 1.0}}
    assert both.head == "tied"
    assert both.guides == {"student": "teacher"}


def test_a_negative_number_of_epochs_is_refused() -> None:
    with pytest.raises(ConfigError, match="finetune_epochs=-1"):
        Serial(THREE, finetune_epochs=-1)


def test_a_student_alone_can_train_as_long_as_teacher_and_student_together() -> None:
    (phase,) = Scratch(THREE, epochs_factor=2).phases(5)
    assert phase.epochs == 10
    with pytest.raises(ConfigError, match="epochs_factor=0"):
        Scratch(THREE, epochs_factor=0)


@pytest.mark.parametrize("objective", [THREE, {"rep": 1.0}])
def test_the_shuffled_control_changes_the_targets_alone(objective: dict[str, float]) -> None:
    plain, shuffled = (Serial(objective, targets=targets).phases(5) for targets in ("own", "shuffled"))  # type: ignore[arg-type]
    assert [phase.targets for phase in shuffled][:2] == ["own", "shuffled"]
    assert [replace(phase, targets="own") for phase in shuffled] == plain


@pytest.mark.parametrize("objective", [THREE, {"rep": 1.0}])
def test_the_untrained_control_leaves_out_the_teachers_phase_alone(objective: dict[str, float]) -> None:
    assert Serial(objective, teacher="untrained").phases(5) == Serial(objective).phases(5)[1:]


def test_parallel_says_what_of_the_teacher_the_student_moves_and_with_which_teacher_it_is_matched() -> None:
    told = " ".join(str(Parallel.__doc__).split())
    assert "losses never move the teacher" not in told
    assert "A tied head, the default, belongs to both and is moved by both" in told
    assert "its dropout is on" in told
