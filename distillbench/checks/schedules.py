"""What a training schedule promises."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping, Sequence

from distillbench.checks.promises import Subject, expect
from distillbench.interfaces import HeadSharing, Network, Phase, Targets

BUDGETS = (1, 7, 100)
OBJECTIVES: tuple[Mapping[str, float], ...] = ({"ce": 1.0}, {"rep": 1.0}, {"rep": 0.5, "ce": 1.0, "pred": 2.0})


def _phases(subject: Subject, objective: Mapping[str, float], epochs: int) -> Sequence[Phase]:
    return list(subject.build(dict(objective)).phases(epochs))


def _all(subject: Subject) -> list[Phase]:
    return [phase for objective in OBJECTIVES for phase in _phases(subject, objective, 7)]


def speaks_of_what_there_is(subject: Subject) -> None:
    """It returns phases, with names of their own, that speak of teacher and student and of a head that there is."""
    networks, heads, targets = (set(typing.get_args(words)) for words in (Network, HeadSharing, Targets))
    for objective in OBJECTIVES:
        phases = _phases(subject, objective, 7)
        expect(phases and all(isinstance(phase, Phase) for phase in phases), f"{phases!r}")
        names = [phase.name for phase in phases]
        expect(len(set(names)) == len(names), f"phases called {', '.join(names)}")
        for phase in phases:
            named = {*phase.objectives, *phase.guides, *phase.guides.values(), *phase.starts, *phase.starts.values()}
            expect(named <= networks, f"phase {phase.name} speaks of {', '.join(sorted(named - networks))}")
            expect(phase.head in heads, f"phase {phase.name}: head {phase.head!r}")
            expect(phase.targets in targets, f"phase {phase.name}: targets {phase.targets!r}")


def epochs_add_up(subject: Subject) -> None:
    """A learner's epochs are a whole multiple of the budget, or that and a fixed extra, for 1, 7 and 100 epochs."""
    for objective in OBJECTIVES:
        for network in typing.get_args(Network):
            spent = {budget: _spent(_phases(subject, objective, budget), network) for budget in BUDGETS}
            expect(all(isinstance(n, int) and n >= 0 for n in spent.values()), f"epochs {list(spent.values())}")
            times = (spent[100] - spent[7]) / 93
            told = ", ".join(f"{count} of {budget}" for budget, count in spent.items())
            whole = times == int(times) and spent[7] - spent[1] == 6 * times and spent[1] >= times >= 0
            expect(whole, f"the {network} learns for {told} epochs")


def _spent(phases: Sequence[Phase], network: Network) -> int:
    return sum(phase.epochs for phase in phases if network in phase.objectives)


def the_one_that_answers_learns(subject: Subject) -> None:
    """The student learns at some time; in a schedule that says it trains none, the teacher does."""
    answers: Network = "student" if getattr(subject.cls, "trains_student", True) else "teacher"
    for objective in OBJECTIVES:
        for budget in BUDGETS:
            phases = _phases(subject, objective, budget)
            expect(
                _spent(phases, answers) > 0, f"the {answers} never learns, for {dict(objective)} and {budget} epochs"
            )


def nobody_idles(subject: Subject) -> None:
    """In every phase somebody learns, and whoever learns has a loss with a weight above zero."""
    for phase in _all(subject):
        expect(phase.objectives, f"nobody learns in phase {phase.name}")
        for learner, terms in phase.objectives.items():
            expect(any(weight > 0 for weight in terms.values()), f"the {learner} minimises nothing in {phase.name}")


def weights_are_finite_and_not_negative(subject: Subject) -> None:
    """Every loss has a weight that is finite and not negative."""
    for phase in _all(subject):
        for learner, terms in phase.objectives.items():
            for loss, weight in terms.items():
                expect(math.isfinite(weight) and weight >= 0, f"{phase.name}: {weight} for the {learner}'s {loss}")


def guides_know_something(subject: Subject) -> None:
    """Whoever guides has learnt before, learns at the same time, or was given the weights of one who has.

    Asked where the learner has another loss than `ce`: the labels need no guide.
    """
    for objective in OBJECTIVES:
        taught: set[str] = set()
        for phase in _phases(subject, objective, 7):
            taught |= {network for network, source in phase.starts.items() if source in taught}
            learnt = taught | set(phase.objectives)
            for learner, terms in phase.objectives.items():
                guide = phase.guides.get(learner)
                ready = guide is None or guide in learnt or not set(terms) - {"ce"}
                expect(ready, f"phase {phase.name}: the {guide} guides the {learner} and has learnt nothing")
            taught = learnt


def is_pure(subject: Subject) -> None:
    """The same arguments give the same phases, whatever it was asked before, and the objective is left as it was."""
    for objective in OBJECTIVES:
        given = dict(objective)
        schedule = subject.build(given)
        first = list(schedule.phases(7))
        schedule.phases(3)
        expect(list(schedule.phases(7)) == first, "other phases when asked again")
        expect(given == objective, f"the objective became {given}")


GIVEN: tuple[object, ...] = ({"ce": 1.0},)
"""The positional constructor arguments of a component."""

CHECKS = (
    speaks_of_what_there_is,
    epochs_add_up,
    the_one_that_answers_learns,
    nobody_idles,
    weights_are_finite_and_not_negative,
    guides_know_something,
    is_pure,
)
