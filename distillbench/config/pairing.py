"""Which losses suit a schedule's phases and a data set's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillbench.config.run_spec import Choice, requirements_of
from distillbench.config.schedule_rules import teacher_of
from distillbench.interfaces import DataSet, LabelKind, Phase


def losses_in(phases: Sequence[Phase]) -> list[str]:
    """Lists the losses that some phase names, each once."""
    terms = [t for phase in phases for learner in phase.learners.values() for t in learner.terms]
    return list(dict.fromkeys(term.loss for term in terms))


def without_weight(phases: Sequence[Phase]) -> list[str]:
    """Lists who would learn nothing, every weight being 0."""
    return [
        f"phase '{phase.name}': every loss of the {name} has the weight 0 "
        f"({', '.join(term.loss for term in learner.terms)}), so nothing would be learnt"
        for phase in phases
        for name, learner in phase.learners.items()
        if all(term.weight == 0 for term in learner.terms)
    ]


def misfits(phases: Sequence[Phase], losses: Mapping[str, Choice | None]) -> list[str]:
    """Lists matching losses without a teacher, and losses on the labels with one."""
    found = []
    for phase in phases:
        for name, learner in phase.learners.items():
            for term in learner.terms:
                choice = losses[term.loss]
                matches = choice is not None and choice.component.kind == "matching-loss"
                if matches and term.teacher is None:
                    found.append(
                        f"phase '{phase.name}': the {name}'s loss '{term.loss}' needs a network to "
                        f"match, and the {name} has no teacher there"
                    )
                elif not matches and teacher_of(term) is not None:
                    found.append(
                        f"phase '{phase.name}': the {name}'s loss '{term.loss}' compares with the "
                        "labels, and is given a teacher"
                    )
    return found


def mixed_labels(phases: Sequence[Phase], losses: Mapping[str, Choice | None]) -> list[str]:
    """Lists the losses that cannot read the labels of mixed videos, in phases that mix them."""
    return [
        f"phase '{phase.name}' mixes videos, and the loss '{name}' needs labels that are 0 or 1"
        for phase in phases
        if phase.mixup
        for name in losses_in([phase])
        if "hard-labels" in requirements_of(losses[name]).needs
    ]


def _label_kind(data: Choice | None) -> LabelKind:
    """The kind of labels of a data set; multi-label where the data set is not known."""
    if data is None or not issubclass(data.component.cls, DataSet):
        return "multi-label"
    return data.component.cls.label_kind


def refused(data: Choice | None, losses: Mapping[str, Choice | None]) -> list[str]:
    """Lists the losses that cannot be computed for this data set's kind of labels."""
    kind = _label_kind(data)
    return [
        f"the loss '{name}' cannot be computed for {kind} data, which {data.name} is"
        for name, choice in losses.items()
        if data and kind in requirements_of(choice).refused_for
    ]


def unsuited(data: Choice | None, losses: Mapping[str, Choice | None]) -> list[str]:
    """Lists the losses that are not meant for this data set's kind of labels."""
    kind = _label_kind(data)
    return [
        f"the loss '{name}' is meant for {' and '.join(sorted(requirements_of(choice).valid_for))}"
        f" data; {data.name} is {kind}"
        for name, choice in losses.items()
        if data and kind not in requirements_of(choice).valid_for
    ]
