"""What a training schedule promises."""

from __future__ import annotations

from collections.abc import Sequence

from distillbench.config.schedule_rules import faults
from distillbench.interfaces import Objective, Phase, Ramp, TrainingSchedule
from distillbench.testing import toys
from distillbench.testing.promises import Subject, expect

BUDGETS = (1, 7, 100)


def _objectives() -> tuple[Objective, ...]:
    """Makes new objectives.

    A schedule that changes one cannot hide it from the next check.
    """
    return (
        toys.objective(on_labels=1.0),
        toys.objective(matching_encodings=1.0),
        toys.objective(matching_encodings=0.5, on_labels=1.0, matching_predictions=2.0),
    )


def _schedule(subject: Subject, objective: Objective) -> TrainingSchedule:
    schedule: TrainingSchedule = subject.build(objective)
    return schedule


def _phases(subject: Subject, objective: Objective, epochs: int) -> Sequence[Phase]:
    return list(_schedule(subject, objective).phases(epochs))


def _all(subject: Subject) -> list[Phase]:
    return [phase for objective in _objectives() for phase in _phases(subject, objective, 7)]


def declares_what_can_be_run(subject: Subject) -> None:
    """Its networks and phases can be run.

    Known names, no circle, and no teacher that has learnt nothing yet.

    A control whose teacher is meant to be untrained declares it: `Teacher(..., untrained=True)`.
    """
    for objective in _objectives():
        for budget in BUDGETS:
            schedule = _schedule(subject, objective)
            found = faults(schedule.networks(), schedule.phases(budget), schedule.reports)
            expect(not found, "; ".join(found))


def epochs_add_up(subject: Subject) -> None:
    """A learner's epochs are a multiple of the budget, plus at most a fixed number.

    Those of a network that is not reported may be a share of it, rounded. Tried with 1, 7 and 100
    epochs.
    """
    for objective in _objectives():
        schedule = _schedule(subject, objective)
        for network in schedule.networks():
            spent = {
                budget: _spent(_phases(subject, objective, budget), network) for budget in BUDGETS
            }
            expect(
                all(isinstance(n, int) and n >= 0 for n in spent.values()),
                f"epochs {list(spent.values())}",
            )
            times = (spent[100] - spent[7]) / 93
            text = ", ".join(f"{count} of {budget}" for budget, count in spent.items())
            whole = (
                times == int(times) and spent[7] - spent[1] == 6 * times and spent[1] >= times >= 0
            )
            # Two numbers that are rounded differ by at most one more or less.
            share = abs(spent[7] - spent[1] - 6 * times) <= 1 and spent[1] >= times >= 0
            expect(
                whole or (share and network != schedule.reports),
                f"the {network} learns for {text} epochs",
            )


def _spent(phases: Sequence[Phase], network: str) -> int:
    return sum(phase.epochs for phase in phases if network in phase.learners)


def the_reported_network_learns(subject: Subject) -> None:
    """The network that it reports learns at some time, or follows one that does."""
    for objective in _objectives():
        for budget in BUDGETS:
            reported = _schedule(subject, objective).reports
            phases = _phases(subject, objective, budget)
            learns = sum(
                p.epochs for p in phases if reported in p.learners or reported in p.averages
            )
            expect(
                learns > 0,
                f"the {reported} never learns, for {objective.weights} and {budget} epochs",
            )


def nobody_idles(subject: Subject) -> None:
    """In every phase somebody learns, and whoever learns has a loss with a weight above zero."""
    for phase in _all(subject):
        expect(phase.learners, f"nobody learns in phase {phase.name}")
        for name, learner in phase.learners.items():
            weights = [term.weight for term in learner.terms]
            largest = max(
                (max(w.start, w.end) if isinstance(w, Ramp) else w for w in weights), default=0
            )
            expect(largest > 0, f"the {name} minimises nothing in {phase.name}")


def uses_the_losses_that_it_is_given(subject: Subject) -> None:
    """It names no loss but those of the objective and the data's own on the labels.

    What is compared has a teacher, and what is on the labels has none.
    """
    for objective in _objectives():
        given = {*objective.weights, objective.label_loss}
        for phase in _phases(subject, objective, 7):
            for name, learner in phase.learners.items():
                for term in learner.terms:
                    expect(term.loss in given, f"{phase.name}: the {name} minimises '{term.loss}'")
                    fits = (term.loss in objective.compares) == (term.teacher is not None)
                    expect(
                        fits,
                        f"{phase.name}: the {name}'s '{term.loss}' has the teacher"
                        f" {term.teacher!r}",
                    )


def is_pure(subject: Subject) -> None:
    """The same arguments give the same phases, whatever was requested before.

    The objective is left as it was.
    """
    for objective in _objectives():
        given = dict(objective.weights)
        schedule = _schedule(subject, objective)
        first = list(schedule.phases(7))
        schedule.phases(3)
        expect(list(schedule.phases(7)) == first, "other phases at the second call")
        expect(
            dict(schedule.networks()) == dict(schedule.networks()),
            "other networks at the second call",
        )
        expect(given == objective.weights, f"the objective became {objective.weights}")


GIVEN: tuple[object, ...] = (_objectives()[0],)
"""The positional constructor arguments of a component."""

CHECKS = (
    declares_what_can_be_run,
    epochs_add_up,
    the_reported_network_learns,
    nobody_idles,
    uses_the_losses_that_it_is_given,
    is_pure,
)
