"""What a schedule declares is looked at as a whole, and every fault of it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillbench.config.schedule_rules import changed_by, faults, in_order, networks_of, term_key
from distillbench.interfaces import (
    Average,
    Copy,
    Ensemble,
    Freeze,
    Init,
    Learner,
    NetworkSpec,
    Phase,
    Ramp,
    Teacher,
    Term,
    Tie,
    ViewSpec,
)

NETWORKS = {
    "teacher": NetworkSpec("teacher"),
    "student": NetworkSpec("student"),
    "peer": NetworkSpec("student"),
}
LABELS = (Term("labels"),)
ALONE = Learner(LABELS)
TAUGHT = Learner((Term("labels"), Term("match", 0.5, "teacher")))
FIRST = Phase("first", 3, {"teacher": ALONE})
SECOND = Phase("second", 3, {"student": TAUGHT})


def told(*phases: Any, networks: Any = NETWORKS, reports: Any = "student") -> str:
    return "; ".join(faults(networks, list(phases), reports))


def with_learner(**changes: Any) -> Phase:
    """A phase whose student is as usual but for what is given."""
    return replace(SECOND, learners={"student": replace(TAUGHT, **changes)})


def with_term(**changes: Any) -> Phase:
    return with_learner(terms=(replace(Term("match", 1.0, "teacher"), **changes),))


def with_teacher(**changes: Any) -> Phase:
    return with_term(teacher=replace(Teacher("teacher"), **changes))


def test_what_can_be_run_has_no_fault() -> None:
    assert told(FIRST, SECOND) == ""


DECLARED = {
    "mutual learning of three": [
        Phase(
            "peers",
            2,
            {
                name: Learner(
                    (Term("labels"), *(Term("match", 1.0, o) for o in NETWORKS if o != name))
                )
                for name in NETWORKS
            },
        )
    ],
    "a chain of assistants": [
        FIRST,
        Phase("assistant", 2, {"peer": TAUGHT}),
        Phase(
            "student",
            2,
            {"student": Learner((Term("match", 1.0, "peer"),), Init(head=Copy("peer")))},
        ),
    ],
    "born again": [
        Phase("first life", 2, {"peer": ALONE}),
        Phase(
            "second life",
            2,
            {"student": Learner((Term("match", 1.0, "peer"),), Init("fresh", "fresh"))},
        ),
        Phase(
            "third life",
            2,
            {"student": Learner((Term("match", 1.0, "peer"),), Init("fresh", "fresh"))},
            starts={"peer": "student"},
        ),
    ],
    "a mean teacher": [
        Phase(
            "all",
            2,
            {"student": Learner((Term("match", 1.0, "peer"),))},
            averages={"peer": Average("student", 0.99)},
        )
    ],
    "an ensemble": [
        Phase("teachers", 2, {"teacher": ALONE, "peer": ALONE}),
        Phase(
            "student",
            2,
            {"student": Learner((Term("match", 1.0, "both"),))},
            ensembles={"both": Ensemble(("teacher", "peer"))},
        ),
    ],
    "a curriculum": [FIRST, with_learner(view=ViewSpec(k=(2, 6))), replace(SECOND, name="third")],
    "a ramp, an own rate and a frozen head": [
        FIRST,
        replace(
            SECOND,
            learners={
                "student": Learner(
                    (
                        Term(
                            "match",
                            Ramp(0.0, 1.0, 0.5),
                            Teacher("teacher", view="learner", videos="shuffled"),
                        ),
                    ),
                    Init(Copy("teacher"), Freeze("teacher")),
                    ViewSpec("selector", 3),
                    {"learning_rate": 0.1, "clip": 0, "l2": 0.0},
                )
            },
        ),
    ],
    "the same loss against two teachers": [
        Phase("teachers", 2, {"teacher": ALONE, "peer": ALONE}),
        with_learner(terms=(Term("match", 1.0, "teacher"), Term("match", 1.0, "peer"))),
    ],
    "the same loss for two views": [
        FIRST,
        with_learner(
            terms=(Term("labels", view=ViewSpec(k=2)), Term("labels", view=ViewSpec(k=(2, 4))))
        ),
    ],
    "mixed videos": [FIRST, replace(SECOND, mixup=0.2)],
    "a phase without epochs": [FIRST, replace(SECOND, epochs=0)],
}


@pytest.mark.parametrize("what", DECLARED)
def test_what_authors_ask_for_is_a_plain_declaration(what: str) -> None:
    assert told(*DECLARED[what]) == ""


WRONG_TYPES = [
    ([7], "7 is not a phase"),
    ([], "it has no phases"),
    ([replace(SECOND, name=7)], "phase 7: its name is not text"),
    ([replace(SECOND, name="")], "its name is not text"),
    (
        [replace(SECOND, epochs=-1)],
        "phase 'second': it has -1 epochs; it must be an integer of at least 0",
    ),
    ([replace(SECOND, epochs=2.0)], "it has 2.0 epochs"),
    ([replace(SECOND, epochs=True)], "it has True epochs"),
    (
        [replace(SECOND, learners=[])],
        "phase 'second': its learners are []; they must be a mapping from name to Learner",
    ),
    ([replace(SECOND, learners={"student": 7})], "its learners are {'student': 7}"),
    (
        [replace(SECOND, averages={"peer": 0.9})],
        "its averages are {'peer': 0.9}; they must be a mapping",
    ),
    ([replace(SECOND, averages={"peer": Average("student", 1.5)})], "its decay must be in [0, 1]"),
    (
        [replace(SECOND, averages={"peer": Average("student", float("nan"))})],
        "its decay must be in [0, 1]",
    ),
    ([replace(SECOND, ensembles={"all": ("a", "b")})], "its ensembles are {'all': ('a', 'b')}"),
    ([replace(SECOND, ensembles={"all": Ensemble(())})], "the ensemble 'all' has the members ()"),
    ([replace(SECOND, starts={"student": 7})], "its starts are {'student': 7}"),
    ([with_learner(terms=())], "phase 'second', student: it minimises ()"),
    (
        [with_learner(terms=7)],
        "phase 'second', student: it minimises 7; it must be a tuple of Term",
    ),
    (
        [with_learner(terms=("labels",))],
        "'labels' is not a term; it must be a Term with the name of a loss",
    ),
    ([with_term(loss=7)], "is not a term"),
    (
        [with_term(weight=-1.0)],
        "the weight of 'match' is -1.0; it must be a finite number of at least 0",
    ),
    ([with_term(weight=float("inf"))], "the weight of 'match' is inf"),
    ([with_term(weight="1")], "the weight of 'match' is '1'"),
    ([with_term(weight=True)], "the weight of 'match' is True"),
    ([with_term(weight=Ramp(0.0, float("nan")))], "the weight of 'match' is Ramp("),
    ([with_term(teacher=7)], "its teacher is 7; it must be a Teacher or a name"),
    ([with_teacher(network=7)], "it must be a Teacher or a name"),
    ([with_teacher(view="mine")], "its teacher sees 'mine'; there are: own, learner, a ViewSpec"),
    ([with_teacher(view=ViewSpec(k=0))], "its teacher has a view of k = 0"),
    (
        [with_teacher(videos="other")],
        "its teacher's videos are 'other'; there are: matched, shuffled",
    ),
    ([with_term(view="k")], "phase 'second', student has the view 'k'; it must be a ViewSpec"),
    (
        [with_learner(view=ViewSpec("uniform"))],
        "has a view by 'uniform'; there are: selector, train_selector, teach",
    ),
    (
        [with_learner(view=ViewSpec(k=0))],
        "has a view of k = 0; it must be an integer or a range",
    ),
    ([with_learner(view=ViewSpec(k=(5, 2)))], "has a view of k = (5, 2)"),
    ([with_learner(view=ViewSpec(k=(1, 2, 3)))], "has a view of k = (1, 2, 3)"),
    ([with_learner(view=ViewSpec(k=(None, 3)))], "has a view of k = (None, 3)"),
    ([with_learner(view=ViewSpec(k=()))], "has a view of k = ()"),
    ([with_learner(view=ViewSpec(k=2.5))], "has a view of k = 2.5"),
    ([with_learner(init="fresh")], "its init is 'fresh'; it must be an Init"),
    ([with_learner(init=Init(encoder=Tie("teacher")))], "its encoder begins as Tie("),
    (
        [with_learner(init=Init(head="big"))],
        "its head begins as 'big'; there are: keep, fresh, Copy, Tie, Freeze, Follow",
    ),
    ([with_learner(optimizer={"momentum": 0.9})], "it may set: learning_rate, clip, l2"),
    ([with_learner(optimizer={"clip": -1})], "each to a number of at least 0"),
    ([with_learner(optimizer=7)], "its optimizer is 7"),
    (
        [replace(SECOND, mixup=-1.0)],
        "phase 'second': its mixup is -1.0; it must be 0 or a number from 0.001 to 1000",
    ),
    ([replace(SECOND, mixup=1e-4)], "its mixup is 0.0001"),
    ([replace(SECOND, mixup=float("nan"))], "its mixup is nan"),
    ([replace(SECOND, mixup=True)], "its mixup is True"),
    ([replace(SECOND, mixup="0.2")], "its mixup is '0.2'"),
]


@pytest.mark.parametrize(("phases", "said"), WRONG_TYPES)
def test_what_is_of_another_type_is_told(phases: list[Any], said: str) -> None:
    assert said in told(*phases)


@pytest.mark.parametrize("phases", [7, None, "first", {"first": FIRST}])
def test_phases_that_are_no_list_are_told(phases: object) -> None:
    assert "they must be a list of Phase" in "; ".join(faults(NETWORKS, phases, "student"))


WRONG_NETWORKS = [
    (7, "its networks are 7; they must be a mapping from name to NetworkSpec"),
    ({}, "its networks are {}"),
    ({7: NetworkSpec("student")}, "a network is called 7"),
    (
        {"a b": NetworkSpec("student")},
        "a network is called 'a b'; a name is letters, digits, '_' and '-'",
    ),
    ({"student": 7}, "the network 'student' is 7; it must be a NetworkSpec"),
    (
        {"student": NetworkSpec("assistant")},
        "is built from the settings 'assistant'; there are: teacher, student",
    ),
    ({"student": NetworkSpec("student", "k")}, "the network 'student' has the view 'k'"),
    (
        {"student": NetworkSpec("student", ViewSpec("best"))},
        "the network 'student' has a view by 'best'",
    ),
    ({"student": NetworkSpec("student", ViewSpec(k=(2, 4)))}, "its own view must be one number"),
    (
        {"student": NetworkSpec("student", width_of="nobody")},
        "the network 'student' has the width of 'nobody'; it must be another network",
    ),
    ({"student": NetworkSpec("student", width_of="student")}, "it must be another network"),
    ({"student": NetworkSpec("student", width_of=7)}, "has the width of 7; it must be another"),
    ({"student": NetworkSpec("student", width_of="x"), "x": 7}, "it must be another network"),
    (
        {
            "teacher": NetworkSpec("teacher"),
            "peer": NetworkSpec("student", width_of="teacher"),
            "student": NetworkSpec("student", width_of="peer"),
        },
        "the network 'student' has the width of 'peer', which has that of 'teacher'; name that one",
    ),
]


@pytest.mark.parametrize(("networks", "said"), WRONG_NETWORKS)
def test_networks_that_are_none_are_told(networks: Any, said: str) -> None:
    assert said in told(Phase("one", 1, {"student": ALONE}), networks=networks)


STRANGE = "speaks of the network 'nobody'; there are: teacher, student, peer"
UNKNOWN = [
    (Phase("p", 1, {"nobody": ALONE}), STRANGE),
    (with_term(teacher="nobody"), STRANGE),
    (with_teacher(network="nobody"), STRANGE),
    (with_learner(init=Init(encoder=Copy("nobody"))), STRANGE),
    (with_learner(init=Init(head=Copy("nobody"))), STRANGE),
    (with_learner(init=Init(head=Tie("nobody"))), STRANGE),
    (with_learner(init=Init(head=Freeze("nobody"))), STRANGE),
    (replace(SECOND, averages={"nobody": Average("student", 0.9)}), STRANGE),
    (replace(SECOND, averages={"peer": Average("nobody", 0.9)}), STRANGE),
    (replace(SECOND, starts={"nobody": "student"}), STRANGE),
    (replace(SECOND, starts={"student": "nobody"}), STRANGE),
    (
        replace(with_term(teacher="all"), ensembles={"all": Ensemble(("teacher", "nobody"))}),
        STRANGE,
    ),
    (
        replace(SECOND, ensembles={"peer": Ensemble(("teacher",))}),
        "an ensemble 'peer', which is the name of a network",
    ),
    (
        replace(
            with_term(teacher="all"),
            ensembles={"all": Ensemble(("two", "peer")), "two": Ensemble(("teacher",))},
        ),
        "the ensemble 'all' has an ensemble as a member",
    ),
]


@pytest.mark.parametrize(("phase", "said"), UNKNOWN)
def test_a_name_that_is_unknown_is_told_wherever_it_stands(phase: Phase, said: str) -> None:
    assert said in told(FIRST, phase)


@pytest.mark.parametrize("reports", ["nobody", "", None, 7, ["student"], {}])
def test_a_reported_network_that_there_is_not_is_told(reports: object) -> None:
    assert f"it reports {reports!r}, and has the networks: teacher, student, peer" in told(
        FIRST, reports=reports
    )


def test_two_phases_of_one_name_and_a_phase_in_which_nobody_learns_are_told() -> None:
    assert "two phases are called 'first'" in told(FIRST, replace(SECOND, name="first"))
    assert "nobody learns in phase 'rest'" in told(FIRST, Phase("rest", 1, {}))


def test_a_network_that_learns_and_is_an_average_is_told() -> None:
    assert "'student' both learns and is an average" in told(
        FIRST, replace(SECOND, averages={"student": Average("teacher", 0.9)})
    )


def test_a_loss_that_a_learner_has_twice_is_told() -> None:
    twice = with_learner(terms=(Term("labels"), Term("labels", 2.0)))
    assert "phase 'second': the student has the loss 'labels' twice" in told(FIRST, twice)


CIRCLES = {
    "heads": Phase(
        "p",
        1,
        {
            "teacher": Learner(LABELS, Init(head=Copy("student"))),
            "student": Learner(LABELS, Init(head=Tie("teacher"))),
        },
    ),
    "heads of its own": Phase("p", 1, {"student": Learner(LABELS, Init(head=Freeze("student")))}),
    "encoders": Phase(
        "p",
        1,
        {
            "peer": Learner(LABELS, Init(encoder=Copy("student"))),
            "student": Learner(LABELS, Init(encoder=Copy("peer"))),
        },
    ),
    "averages": Phase(
        "p",
        1,
        {"student": ALONE},
        averages={"peer": Average("teacher", 0.5), "teacher": Average("peer", 0.5)},
    ),
    "starts": Phase("p", 1, {"student": ALONE}, starts={"peer": "student", "student": "peer"}),
}


@pytest.mark.parametrize("what", CIRCLES)
def test_weights_that_come_from_one_another_are_told(what: str) -> None:
    kind = what.partition(" ")[0]
    assert f"phase 'p': the {kind} of student come from its own" in told(CIRCLES[what]) or (
        f"phase 'p': the {kind} of peer come from its own" in told(CIRCLES[what])
    )


IGNORANT = "has learnt nothing"


def test_a_teacher_that_has_learnt_nothing_is_told() -> None:
    assert told(SECOND) == "phase 'second': the teacher teaches the student and has learnt nothing"
    assert IGNORANT in told(SECOND, FIRST), "later is too late"
    ensemble = replace(with_term(teacher="all"), ensembles={"all": Ensemble(("teacher", "peer"))})
    assert (
        told(FIRST, ensemble)
        == "phase 'second': the peer teaches the student and has learnt nothing"
    )


def test_an_untrained_teacher_that_is_meant_as_a_control_is_allowed() -> None:
    assert told(with_teacher(untrained=True)) == ""


def test_a_teacher_may_learn_in_the_same_phase_or_follow_one_that_does_or_begin_as_one_that_has() -> (
    None
):
    assert told(Phase("both", 1, {"teacher": ALONE, "student": TAUGHT})) == ""
    assert (
        told(replace(with_term(teacher="peer"), averages={"peer": Average("student", 0.9)})) == ""
    )
    assert told(FIRST, replace(with_term(teacher="peer"), starts={"peer": "teacher"})) == ""
    assert IGNORANT in told(replace(with_term(teacher="peer"), starts={"peer": "teacher"}))


def test_all_problems_are_told_at_once() -> None:
    one = replace(with_learner(terms=(Term("a", -1.0), Term("b", 1.0, 7)), init=7), epochs=-1)  # type: ignore[arg-type]
    networks = {"student": NetworkSpec("nothing")}
    found = faults(networks, [one, 7], "student")
    assert len(found) == 6
    names = faults(
        NETWORKS, [Phase("p", 1, {"x": ALONE, "y": TAUGHT}), Phase("q", 1, {"z": ALONE})], "nobody"
    )
    assert len(names) == 4
    late = faults(NETWORKS, [SECOND, SECOND, Phase("rest", 1, {})], "student")
    assert len(late) == 4


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 9),
    st.floats(),
    st.sampled_from(["", "teacher", "student", "nobody", "keep", "selector", "own", "a b"]),
    st.lists(st.integers(), max_size=2),
    st.tuples(st.integers(), st.none()),
    st.dictionaries(st.sampled_from(["student", "teacher", "x"]), st.integers(), max_size=2),
    st.sampled_from(
        [
            ViewSpec(),
            Term("labels"),
            Teacher("teacher"),
            ALONE,
            FIRST,
            Init(),
            Copy("teacher"),
            object,
        ]
    ),
)
PARTS = [
    FIRST,
    SECOND,
    ALONE,
    Term("labels"),
    Teacher("teacher"),
    ViewSpec("selector", 3),
    Init(Copy("teacher"), Tie("teacher")),
    Average("student", 0.9),
    Ensemble(("teacher",)),
    Ramp(0.0, 1.0),
    Copy("teacher"),
    NetworkSpec("student"),
]


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """A part of a declaration, one field of which is anything."""
    part: Any = draw(st.sampled_from(PARTS))
    name = draw(st.sampled_from([field.name for field in fields(part)]))
    return replace(part, **{name: draw(st.one_of(JUNK, st.sampled_from(PARTS)))})


ANY = st.one_of(JUNK, spoilt())


NAMES = st.one_of(st.sampled_from(["student", "teacher", "", "a b"]), st.integers())


@settings(max_examples=400, deadline=None)
@given(st.one_of(ANY, st.dictionaries(NAMES, ANY)), st.one_of(ANY, st.lists(ANY, max_size=3)), ANY)
def test_arbitrary_junk_in_any_field_never_raises(networks: Any, phases: Any, reports: Any) -> None:
    found = faults(networks, phases, reports)
    assert all(isinstance(fault, str) and fault for fault in found)


@settings(max_examples=400, deadline=None)
@given(
    learners=st.one_of(
        ANY, st.dictionaries(st.sampled_from(["student", "teacher", "x"]), ANY, max_size=2)
    ),
    terms=st.one_of(ANY, st.lists(ANY, max_size=2).map(tuple)),
    term=st.fixed_dictionaries(
        {}, optional={"weight": ANY, "teacher": ANY, "view": ANY, "loss": ANY}
    ),
    more=st.fixed_dictionaries(
        {},
        optional={
            name: st.one_of(
                ANY, st.dictionaries(st.sampled_from(["student", "peer", "x"]), ANY, max_size=2)
            )
            for name in ("averages", "ensembles", "starts")
        },
    ),
    init=st.one_of(ANY, st.builds(Init, ANY, ANY)),
    choose=st.sampled_from(["learners", "terms", "term"]),
)
def test_arbitrary_junk_within_a_phase_never_raises(
    learners: Any,
    terms: Any,
    term: Mapping[str, Any],
    more: Mapping[str, Any],
    init: Any,
    choose: str,
) -> None:
    made = {
        "learners": learners,
        "terms": {"student": replace(TAUGHT, terms=terms, init=init)},
        "term": {"student": replace(TAUGHT, terms=(replace(Term("match"), **term),))},
    }[choose]
    found = faults(NETWORKS, [FIRST, replace(SECOND, learners=made, **more)], "student")
    assert all(isinstance(fault, str) and fault for fault in found)


def test_the_networks_of_a_phase_are_all_that_it_trains_asks_or_takes_weights_from() -> None:
    ensemble = replace(
        with_term(teacher="all"),
        ensembles={"all": Ensemble(("teacher", "peer")), "unused": Ensemble(("x",))},
    )
    assert networks_of(ensemble) == {"student", "teacher", "peer"}
    assert networks_of(replace(FIRST, starts={"a": "b"}, averages={"c": Average("d", 0.5)})) == {
        "teacher",
        *"abcd",
    }


def test_a_phase_changes_the_owner_of_a_tied_head_as_well() -> None:
    assert changed_by(with_learner(init=Init(head=Tie("teacher")))) == {"student", "teacher"}
    assert changed_by(with_learner(init=Init(head=Copy("teacher")))) == {"student"}


def test_terms_are_told_apart_by_teacher_and_view_where_the_loss_is_not_enough() -> None:
    def keys(*terms: Term) -> Sequence[str]:
        return [term_key(term, Learner(terms)) for term in terms]

    assert keys(Term("a"), Term("b", 1.0, "teacher")) == ["a", "b"]
    assert keys(Term("b", 1.0, "peer"), Term("b", 1.0, "teacher")) == ["b:peer", "b:teacher"]
    assert keys(Term("a", view=ViewSpec(k=2)), Term("a", view=ViewSpec("selector", (2, 4)))) == [
        "a:2",
        "a:selector:2-4",
    ]


@given(st.permutations(["a", "b", "c", "d"]))
def test_each_comes_after_the_one_that_it_takes_from(names: list[str]) -> None:
    sources = dict(zip(names[1:], names, strict=False))
    assert [*in_order(sources)] == names[1:]
