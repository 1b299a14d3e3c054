"""What the schedules of the literature declare, and the knobs that they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillbench.config.schedule_rules import faults
from distillbench.errors import ConfigError
from distillbench.interfaces import (
    Average,
    Ensemble,
    Freeze,
    Init,
    Learner,
    NetworkSpec,
    Objective,
    Phase,
    Ramp,
    Teacher,
    Term,
    TrainingSchedule,
    ViewSpec,
)
from distillbench_plugins.schedules.annealed import Annealed
from distillbench_plugins.schedules.any_k import AnyK
from distillbench_plugins.schedules.assistants import Assistants
from distillbench_plugins.schedules.born_again import BornAgain
from distillbench_plugins.schedules.curriculum import Curriculum
from distillbench_plugins.schedules.early_teacher import EarlyTeacher
from distillbench_plugins.schedules.ensemble import TeacherEnsemble
from distillbench_plugins.schedules.function_matching import FunctionMatching
from distillbench_plugins.schedules.mean_teacher import MeanTeacher
from distillbench_plugins.schedules.mutual import Mutual
from distillbench_plugins.schedules.simkd import ReusedClassifier

EVERY: list[Any] = [
    Annealed,
    AnyK,
    Assistants,
    BornAgain,
    Curriculum,
    EarlyTeacher,
    FunctionMatching,
    MeanTeacher,
    Mutual,
    ReusedClassifier,
    TeacherEnsemble,
]
COMPARES = frozenset({"rep", "pred"})


def objective(k: int = 10, **weights: float) -> Objective:
    trains_head = any(name in ("ce", "pred") for name in weights)
    return Objective(dict(weights), COMPARES & weights.keys(), "ce", trains_head, k)


THREE = objective(rep=1.0, ce=2.0, pred=0.5)
ENCODINGS = objective(rep=1.0)
LABELS = objective(ce=2.0)
ALONE = Learner((Term("ce"),))
TEACHER = Phase("teacher", 8, {"teacher": ALONE})
TAUGHT = (Term("rep", 1.0, "teacher"), Term("ce", 2.0), Term("pred", 0.5, "teacher"))
ALL = ViewSpec("teacher_selector")


def student(*terms: Term, **more: Any) -> Mapping[str, Learner]:
    return {"student": Learner(terms, **more)}


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("given_losses", [THREE, ENCODINGS, LABELS, objective(pred=1.0, k=1)])
@pytest.mark.parametrize("epochs", [0, 1, 2, 9])
def test_what_is_declared_can_be_run(kind: Any, given_losses: Objective, epochs: int) -> None:
    schedule: TrainingSchedule = kind(given_losses)
    assert faults(schedule.networks(), schedule.phases(epochs), schedule.reports) == []


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("epochs", [0, 1, 2, 9])
def test_the_student_learns_for_a_multiple_of_the_epochs(kind: Any, epochs: int) -> None:
    phases = kind(THREE).phases(epochs)
    spent = sum(phase.epochs for phase in phases if "student" in phase.learners)
    assert spent == epochs * {BornAgain: 3, FunctionMatching: 4}.get(kind, 1)


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind is not ReusedClassifier])
@pytest.mark.parametrize("given_losses", [ENCODINGS, LABELS])
def test_every_learner_trains_its_head(kind: Any, given_losses: Objective) -> None:
    for phase in kind(given_losses).phases(4):
        for learner in phase.learners.values():
            assert any(term.loss == "ce" for term in learner.terms)


def test_peers_learn_from_the_labels_and_share_the_weight_of_what_they_match() -> None:
    schedule = Mutual(THREE, peers=3)
    assert schedule.networks() == {
        name: NetworkSpec("student") for name in ("student", "peer2", "peer3")
    }
    (phase,) = schedule.phases(8)
    assert phase.epochs == 8
    assert phase.learners["peer2"] == Learner(
        (
            Term("ce", 2.0),
            Term("rep", 0.5, "student"),
            Term("pred", 0.25, "student"),
            Term("rep", 0.5, "peer3"),
            Term("pred", 0.25, "peer3"),
        )
    )


@given(st.integers(2, 9))
def test_mutual_learning_of_n_peers_trains_n_networks(peers: int) -> None:
    (phase,) = Mutual(THREE, peers=peers).phases(3)
    assert len(phase.learners) == peers
    teachers = {name: {t.teacher for t in x.terms} - {None} for name, x in phase.learners.items()}
    assert teachers == {name: phase.learners.keys() - {name} for name in phase.learners}


def test_every_generation_is_drawn_anew_and_taught_by_the_one_before() -> None:
    schedule = BornAgain(THREE, generations=3)
    assert set(schedule.networks().values()) == {NetworkSpec("student")}
    first, second, third = schedule.phases(8)
    assert first == Phase("generation 1", 8, student(Term("ce", 2.0)))
    terms = (Term("rep", 1.0, "parent"), Term("ce", 2.0), Term("pred", 0.5, "parent"))
    learners = student(*terms, init=Init("fresh", "fresh"))
    assert second == Phase("generation 2", 8, learners, starts={"parent": "student"})
    assert third == Phase("generation 3", 8, learners, starts={"parent": "student"})


def test_the_chain_falls_from_all_frames_to_k() -> None:
    schedule = Assistants(THREE, frames="30,15")
    assert schedule.networks() == {
        "teacher": NetworkSpec("teacher"),
        "assistant30": NetworkSpec("student", ViewSpec(k=30)),
        "assistant15": NetworkSpec("student", ViewSpec(k=15)),
        "student": NetworkSpec("student"),
    }
    chain = schedule.phases(8)
    assert chain[0] == TEACHER
    taught = [
        (name, {term.teacher for term in learner.terms} - {None})
        for phase in chain[1:]
        for name, learner in phase.learners.items()
    ]
    assert taught == [
        ("assistant30", {"teacher"}),
        ("assistant15", {"assistant30"}),
        ("student", {"assistant15"}),
    ]
    assert all(phase.epochs == 8 for phase in chain)


@pytest.mark.parametrize(
    ("k", "names"),
    [(14, ["30", "15"]), (15, ["30"]), (29, ["30"]), (30, []), (99, [])],
)
def test_steps_that_are_not_above_k_are_left_out(k: int, names: list[str]) -> None:
    networks = [*Assistants(objective(k, ce=1.0)).networks()]
    assert networks == ["teacher", *(f"assistant{name}" for name in names), "student"]
    stages = [phase.name for phase in Curriculum(objective(k, ce=1.0)).phases(8)]
    between = [f"{name} frames" for name in names]
    assert stages == ["teacher", "all frames", *between, "own frames"]


def test_a_mean_teacher_follows_its_student_and_sees_all_frames() -> None:
    schedule = MeanTeacher(THREE, decay=0.9)
    assert schedule.networks() == {
        "average": NetworkSpec("student", ALL),
        "student": NetworkSpec("student"),
    }
    terms = (Term("ce", 2.0), Term("rep", 1.0, "average"), Term("pred", 0.5, "average"))
    averages = {"average": Average("student", 0.9)}
    assert schedule.phases(8) == [Phase("student", 8, student(*terms), averages)]
    assert MeanTeacher(THREE, frames="own").networks()["average"].view == ViewSpec()
    (rising,) = MeanTeacher(objective(rep=2.0), ramp=0.25).phases(8)
    assert rising.learners["student"].terms[1] == Term("rep", Ramp(0.0, 2.0, 0.25), "average")


def test_function_matching_mixes_what_teacher_and_student_see_alike_for_long() -> None:
    same = Teacher("teacher", view="learner")
    terms = (Term("rep", 1.0, same), Term("ce", 2.0), Term("pred", 0.5, same))
    long = Phase("student", 32, student(*terms), mixup=1.0)
    assert FunctionMatching(THREE).phases(8) == [TEACHER, long]
    _, short = FunctionMatching(LABELS, mixup=0, epochs_factor=1).phases(8)
    assert (short.epochs, short.mixup) == (8, 0)
    _, own = FunctionMatching(ENCODINGS, views="own").phases(8)
    assert own.learners["student"].terms[0].teacher == Teacher("teacher", view="own")


@pytest.mark.parametrize(
    ("epochs", "stages"),
    [
        (0, [("own frames", 0)]),
        (1, [("own frames", 1)]),
        (2, [("15 frames", 1), ("own frames", 1)]),
        (4, [("all frames", 1), ("30 frames", 1), ("15 frames", 1), ("own frames", 1)]),
        (9, [("all frames", 2), ("30 frames", 2), ("15 frames", 2), ("own frames", 3)]),
    ],
)
def test_a_curriculum_gives_every_epoch_its_view(
    epochs: int, stages: list[tuple[str, int]]
) -> None:
    teacher, *taught = Curriculum(THREE).phases(epochs)
    assert teacher == Phase("teacher", epochs, {"teacher": ALONE})
    assert [(phase.name, phase.epochs) for phase in taught] == stages
    views = {
        "all frames": ALL,
        "30 frames": ViewSpec(k=30),
        "15 frames": ViewSpec(k=15),
        "own frames": None,
    }
    for phase in taught:
        assert phase.learners == student(*TAUGHT, view=views[phase.name])


def test_the_pass_over_all_frames_teaches_the_passes_over_fewer() -> None:
    most = Teacher("student", view=ALL)
    schedule = AnyK(THREE, frames="30,10,5")
    assert schedule.networks() == {"student": NetworkSpec("student")}
    (phase,) = schedule.phases(8)
    learner = phase.learners["student"]
    assert learner.view == ALL
    assert learner.terms[0] == Term("ce", 2.0)
    assert set(learner.terms[1:]) == {
        Term(loss, weight / 3, most, ViewSpec(k=k))
        for loss, weight in (("rep", 1.0), ("pred", 0.5))
        for k in (30, 5, 10)
    }


def test_without_a_loss_that_matches_every_pass_learns_from_the_labels() -> None:
    (phase,) = AnyK(LABELS, frames="15").phases(8)
    terms = phase.learners["student"].terms
    assert [term.view for term in terms] == [ALL, ViewSpec(k=15), ViewSpec(k=10)]
    assert all(term.loss == "ce" and term.weight == pytest.approx(2 / 3) for term in terms)


def test_the_mean_of_teachers_that_learn_apart_teaches() -> None:
    schedule = TeacherEnsemble(THREE, teachers=2)
    assert [*schedule.networks()] == ["teacher", "teacher2", "student"]
    terms = (Term("rep", 1.0, "mean"), Term("ce", 2.0), Term("pred", 0.5, "mean"))
    ensembles = {"mean": Ensemble(("teacher", "teacher2"))}
    assert schedule.phases(8) == [
        TEACHER,
        Phase("teacher2", 8, {"teacher2": ALONE}),
        Phase("student", 8, student(*terms), ensembles=ensembles),
    ]


def test_the_teachers_head_is_reused_behind_a_projection() -> None:
    schedule = ReusedClassifier(THREE)
    assert schedule.networks() == {
        "teacher": NetworkSpec("teacher"),
        "student": NetworkSpec("student", width_of="teacher"),
    }
    learners = student(*TAUGHT, init=Init(head=Freeze("teacher")))
    assert schedule.phases(8) == [TEACHER, Phase("student", 8, learners)]


@pytest.mark.parametrize(
    ("share", "epochs", "stopped"),
    [(0.5, 0, 0), (0.5, 1, 1), (0.01, 9, 1), (0.5, 8, 4), (0.3, 10, 3), (1.0, 7, 7)],
)
def test_a_teacher_that_stops_early_teaches(share: float, epochs: int, stopped: int) -> None:
    assert EarlyTeacher(THREE, share=share).phases(epochs) == [
        Phase("teacher", stopped, {"teacher": ALONE}),
        Phase("student", epochs, student(*TAUGHT)),
    ]


def test_weights_move_from_the_teacher_to_the_labels() -> None:
    terms = (
        Term("ce", Ramp(0.0, 2.0, 0.5)),
        Term("rep", Ramp(1.0, 0.0, 0.5), "teacher"),
        Term("pred", Ramp(0.5, 0.0, 0.5), "teacher"),
    )
    assert Annealed(THREE, over=0.5).phases(8) == [TEACHER, Phase("student", 8, student(*terms))]
    assert Annealed(LABELS).phases(8)[1] == Phase("student", 8, student(Term("ce", 2.0)))
    assert Annealed(ENCODINGS).phases(8)[1].learners == student(
        Term("ce", Ramp(0.0, 1.0)), Term("rep", Ramp(1.0, 0.0), "teacher")
    )


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (Mutual, {"peers": 1}, "schedule mutual: peers=1 is not an integer from 2 to 100"),
    (
        BornAgain,
        {"generations": 1},
        "schedule born-again: generations=1 is not an integer from 2 to 100",
    ),
    (Assistants, {"frames": "15,30"}, "schedule assistants: frames=15,30 is not a list of"),
    (Assistants, {"frames": ""}, "schedule assistants: frames= is not a list of"),
    (Curriculum, {"frames": "30,30"}, "schedule curriculum: frames=30,30 is not a list of"),
    (Curriculum, {"frames": "all"}, "schedule curriculum: frames=all is not a list of"),
    (AnyK, {"frames": "30,0"}, "schedule any-k: frames=30,0 is not a list of"),
    (AnyK, {"frames": "-3"}, "schedule any-k: frames=-3 is not a list of"),
    (AnyK, {"frames": "3.5"}, "schedule any-k: frames=3.5 is not a list of"),
    (MeanTeacher, {"decay": 1.0}, r"schedule mean-teacher: decay=1.0 is not within \[0, 1\)"),
    (MeanTeacher, {"ramp": 1.5}, r"schedule mean-teacher: ramp=1.5 is not within \[0, 1\]"),
    (FunctionMatching, {"mixup": -1.0}, "schedule function-matching: mixup=-1.0 is not in"),
    (FunctionMatching, {"mixup": 1e-9}, "schedule function-matching: mixup=1e-09 is not in"),
    (FunctionMatching, {"epochs_factor": 0}, "epochs_factor=0 is not an integer from 1 to 1000"),
    (
        TeacherEnsemble,
        {"teachers": 1},
        "schedule ensemble: teachers=1 is not an integer from 2 to 100",
    ),
    (EarlyTeacher, {"share": 0.0}, r"schedule early-teacher: share=0.0 is not in \(0, 1\]"),
    (EarlyTeacher, {"share": 1.1}, r"schedule early-teacher: share=1.1 is not in \(0, 1\]"),
    (Annealed, {"over": 0.0}, r"schedule annealed: over=0.0 is not in \(0, 1\]"),
]


@pytest.mark.parametrize(("kind", "knobs", "said"), REFUSED)
def test_a_knob_that_cannot_be_is_refused(kind: Any, knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        kind(THREE, **knobs)


def test_all_wrong_knobs_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        FunctionMatching(THREE, mixup=float("nan"), epochs_factor=0)
    assert len(caught.value.problems) == 2
