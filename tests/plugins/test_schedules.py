from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from distillbench.config.schedule_rules import faults
from distillbench.errors import ConfigError
from distillbench.interfaces import (
    Copy,
    Follow,
    Freeze,
    Init,
    Learner,
    Objective,
    Phase,
    Teacher,
    Term,
    Tie,
    TrainingSchedule,
)
from distillbench_plugins.schedules.parallel import Parallel
from distillbench_plugins.schedules.scratch import Scratch
from distillbench_plugins.schedules.serial import Serial
from distillbench_plugins.schedules.teacher import TeacherAlone

COMPARES = frozenset({"rep", "rep-intermediate", "pred"})


def objective(weights: Mapping[str, float]) -> Objective:
    """The user's losses on data with several labels, `rep`s being those that train no head."""
    trains_head = any(name in ("ce", "pred") for name in weights)
    return Objective(dict(weights), COMPARES & weights.keys(), "ce", trains_head)


THREE = objective({"rep": 1.0, "ce": 1.0, "pred": 0.5})
ENCODINGS = objective({"rep": 1.0})
EVERY = [Scratch, TeacherAlone, Parallel, Serial]
HEADS = {
    "copy": Copy("teacher"),
    "tied": Tie("teacher"),
    "frozen": Freeze("teacher"),
    "separate": "keep",
}
TAUGHT = (
    Term("rep", 1.0, Teacher("teacher")),
    Term("ce", 1.0),
    Term("pred", 0.5, Teacher("teacher")),
)
ALONE = Learner((Term("ce"),))


def epochs_of(schedule: TrainingSchedule, network: str, epochs: int) -> int:
    return sum(phase.epochs for phase in schedule.phases(epochs) if network in phase.learners)


def head_of(phase: Phase, network: str = "student") -> object:
    return phase.learners[network].init.head


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("epochs", [1, 7, 100])
def test_every_learner_gets_the_epochs_asked_for(kind: type[TrainingSchedule], epochs: int) -> None:
    schedule = kind(THREE)  # type: ignore[call-arg]
    learners = {network for phase in schedule.phases(epochs) for network in phase.learners}
    assert all(epochs_of(schedule, network, epochs) == epochs for network in learners)
    assert schedule.reports in learners
    assert ("student" in learners) == (schedule.reports == "student")


@pytest.mark.parametrize("kind", EVERY)
def test_phases_are_the_same_when_asked_again_whatever_was_done_to_the_answer(
    kind: type[TrainingSchedule],
) -> None:
    schedule = kind(THREE)  # type: ignore[call-arg]
    first = schedule.phases(5)
    for phase in first:
        phase.learners["spoilt"] = ALONE  # type: ignore[index]
    assert all("spoilt" not in phase.learners for phase in schedule.phases(5))
    assert kind(THREE).phases(5) == schedule.phases(5)  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize(
    "weights", [{"rep": 1.0, "ce": 1.0, "pred": 0.5}, {"rep": 1.0}, {"ce": 2.0}]
)
def test_what_is_declared_can_be_run(
    kind: type[TrainingSchedule], weights: dict[str, float]
) -> None:
    schedule = kind(objective(weights))  # type: ignore[call-arg]
    assert faults(schedule.networks(), schedule.phases(3), schedule.reports) == []


def test_scratch_learns_from_labels_alone_with_the_weight_they_were_given() -> None:
    twice = Learner((Term("ce", 2.0),))
    assert Scratch(objective({"rep": 1.0, "ce": 2.0})).phases(4) == [
        Phase("student", 4, {"student": twice})
    ]
    assert Scratch(ENCODINGS).phases(4) == [Phase("student", 4, {"student": ALONE})]


def test_the_skyline_trains_no_student_and_shares_serials_first_phase() -> None:
    assert TeacherAlone.reports == "teacher"
    assert TeacherAlone(THREE).phases(4)[0] == Serial(THREE).phases(4)[0]


def test_serial_trains_the_student_on_the_whole_objective_with_a_copy_of_the_teachers_head() -> (
    None
):
    teacher, student = Serial(THREE).phases(5)
    assert teacher == Phase("teacher", 5, {"teacher": ALONE})
    assert student == Phase("student", 5, {"student": Learner(TAUGHT, Init(head=Copy("teacher")))})


@pytest.mark.parametrize(
    "weights", [{"rep": 1.0}, {"rep-intermediate": 1.0}, {"rep": 1.0, "rep-intermediate": 1.0}]
)
def test_serial_matches_encodings_alone_before_it_fine_tunes_with_the_teachers_classifier(
    weights: dict[str, float],
) -> None:
    _, match, finetune = Serial(objective(weights)).phases(5)
    terms = tuple(Term(name, weight, Teacher("teacher")) for name, weight in weights.items())
    assert match == Phase("match", 5, {"student": Learner(terms, Init(head=Freeze("teacher")))})
    assert finetune == Phase(
        "finetune", 3, {"student": Learner((Term("ce"),), Init(head=Copy("teacher")))}
    )


def test_serial_can_fine_tune_the_students_own_classifier_as_the_released_code_does() -> None:
    _, match, finetune = Serial(ENCODINGS, finetune_head="own", finetune_epochs=2).phases(5)
    assert (head_of(match), head_of(finetune), finetune.epochs) == ("keep", "keep", 2)


@pytest.mark.parametrize("head", HEADS)
def test_the_head_is_shared_as_asked(head: str) -> None:
    assert head_of(Serial(THREE, head=head).phases(5)[1]) == HEADS[head]  # type: ignore[arg-type]
    assert head_of(Parallel(THREE, head=head).phases(5)[0]) == HEADS[head]  # type: ignore[arg-type]


def test_parallel_can_copy_the_teachers_head_after_every_step() -> None:
    (both,) = Parallel(THREE, head="follow").phases(5)
    assert head_of(both) == Follow("teacher")


def test_parallel_can_ask_its_teacher_without_dropout() -> None:
    (both,) = Parallel(THREE, teacher_dropout=False).phases(5)
    teachers = [term.teacher for term in both.learners["student"].terms if term.teacher]
    assert teachers == [Teacher("teacher", dropout=False)] * 2


def test_parallel_trains_both_at_once_under_one_tied_head() -> None:
    (both,) = Parallel(ENCODINGS).phases(5)
    assert both.epochs == 5
    student = Learner((Term("rep", 1.0, Teacher("teacher")),), Init(head=Tie("teacher")))
    assert both.learners == {"teacher": ALONE, "student": student}


def test_a_negative_number_of_epochs_is_refused() -> None:
    with pytest.raises(ConfigError, match="finetune_epochs=-1"):
        Serial(THREE, finetune_epochs=-1)


def test_a_student_alone_can_train_as_long_as_teacher_and_student_together() -> None:
    (phase,) = Scratch(THREE, epochs_factor=2).phases(5)
    assert phase.epochs == 10
    with pytest.raises(ConfigError, match="epochs_factor=0"):
        Scratch(THREE, epochs_factor=0)


def changed(phases: Sequence[Phase], **changes: Any) -> list[Phase]:
    """The same phases with another teacher of every term that has one."""

    def term(one: Term) -> Term:
        return (
            replace(one, teacher=replace(one.teacher, **changes))
            if isinstance(one.teacher, Teacher)
            else one
        )

    return [
        replace(
            phase,
            learners={
                n: replace(x, terms=tuple(map(term, x.terms))) for n, x in phase.learners.items()
            },
        )
        for phase in phases
    ]


@pytest.mark.parametrize("given", [THREE, ENCODINGS])
@pytest.mark.parametrize(
    ("targets", "changes"),
    [("shuffled", {"videos": "shuffled"}), ("same-frames", {"view": "learner"})],
)
def test_a_control_of_the_targets_changes_them_alone(
    given: Objective, targets: Any, changes: Any
) -> None:
    plain, control = Serial(given).phases(5), Serial(given, targets=targets).phases(5)
    assert list(control) != list(plain)
    assert list(control) == changed(plain, **changes)


@pytest.mark.parametrize("given", [THREE, ENCODINGS])
def test_the_untrained_control_leaves_out_the_teachers_phase_alone_and_says_that_it_is_meant(
    given: Objective,
) -> None:
    assert list(Serial(given, teacher="untrained").phases(5)) == changed(
        Serial(given).phases(5)[1:], untrained=True
    )


def test_parallel_says_what_of_the_teacher_the_student_moves_and_with_which_teacher_it_is_matched() -> (
    None
):
    told = " ".join(str(Parallel.__doc__).split())
    assert "losses never move the teacher" not in told
    assert "A tied head, the default, belongs to both and is moved by both" in told
    assert "its dropout is on" in told
