"""Whether the networks and losses of a run fit together; looked at before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

from distillbench.config.run_spec import RunSpec
from distillbench.config.schedule_rules import members_of, teacher_of
from distillbench.errors import NotApplicableError
from distillbench.interfaces import EarlyExit, Learner, Phase, Shapes, ViewSpec
from distillbench.networks import Model

Models = Mapping[str, Model]


def refuse_conflicts(spec: RunSpec, models: Models, shapes: Mapping[str, Shapes]) -> None:
    """Raises `NotApplicableError` with every reason for which a setup's phases cannot be run."""
    problems = [*spec.conflicts]
    encoder = models[spec.reports].encoder
    if spec.exit_policy is not None and not isinstance(encoder, EarlyExit):
        problems.append(
            f"the exit policy '{spec.exit_policy.name}' needs an encoder that may stop early; "
            f"'{spec.encoder(spec.reports).name}' may not"
        )
    for phase in spec.phases:
        problems += _weights_that_do_not_fit(phase, models, shapes)
        problems += _views_that_do_not_fit(spec, phase, models)
        for name, learner in phase.learners.items():
            problems += _losses_that_do_not_fit(spec, phase, name, learner, shapes)
    if problems:
        raise NotApplicableError(dict.fromkeys(problems))


def _weights_that_do_not_fit(
    phase: Phase, models: Models, shapes: Mapping[str, Shapes]
) -> Iterator[str]:
    for name, learner in phase.learners.items():
        head, encoder = learner.init.head, learner.init.encoder
        if not isinstance(head, str) and not _alike(models[head.network].head, models[name].head):
            yield (
                f"phase '{phase.name}' gives the {name} the {head.network}'s head "
                f"({_HEADS[type(head).__name__]}), which reads encodings of "
                f"{shapes[head.network].summary} numbers; the {name}'s have {shapes[name].summary}"
            )
        if not isinstance(encoder, str) and not _alike(
            models[encoder.network].encoder, models[name].encoder
        ):
            yield (
                f"phase '{phase.name}' gives the {name} the {encoder.network}'s encoder, and they are not built alike"
            )
    whole = [*phase.starts.items(), *((n, a.source) for n, a in phase.averages.items())]
    for name, source in whole:
        if not _alike(models[source], models[name]):
            yield (
                f"phase '{phase.name}' starts the {name} from the {source}'s weights, and they are not built alike"
            )


_HEADS = {"Copy": "copied", "Tie": "tied", "Freeze": "frozen"}


def _alike(ours: nn.Module, theirs: nn.Module) -> bool:
    shapes = [
        {name: value.shape for name, value in module.state_dict().items()}
        for module in (ours, theirs)
    ]
    return shapes[0] == shapes[1]


def _views_that_do_not_fit(spec: RunSpec, phase: Phase, models: Models) -> Iterator[str]:
    """A selector that is a part of a network chooses for it wherever it is shown something."""
    for name, learner in phase.learners.items():
        for term in learner.terms:
            teacher = teacher_of(term)
            shown = [(name, learner.view), (name, term.view)]
            if teacher is not None and isinstance(teacher.view, ViewSpec):
                members = members_of(phase, teacher.network)
                shown += [(member, teacher.view) for member in members]
            for network, view in shown:
                other = view is not None and spec.view(network, view) != spec.view(network)
                if other and models[network].selector is not None:
                    yield (
                        f"phase '{phase.name}' shows the {network} another view than its own, and "
                        f"its selector '{spec.selector.name}' is learned as a part of it"
                    )


def _losses_that_do_not_fit(
    spec: RunSpec, phase: Phase, name: str, learner: Learner, shapes: Mapping[str, Shapes]
) -> Iterator[str]:
    for term in learner.terms:
        teacher = teacher_of(term)
        members = members_of(phase, teacher.network) if teacher else ()
        for member in members or (name,):
            whose = "teacher" if len(members) < 2 else f"teacher {member}"
            yield from _widths_that_do_not_fit(
                spec, term.loss, (name, shapes[name]), (whose, shapes[member])
            )
        needs = spec.requirements(term.loss).needs
        if len(members) > 1 and "states" in needs:
            yield f"the loss '{term.loss}' compares states, and an ensemble has none"
        if (
            len(members) > 1
            and "summary" in needs
            and len({shapes[m].summary for m in members}) > 1
        ):
            yield (
                f"the loss '{term.loss}' compares encodings, and those of the ensemble "
                f"'{teacher.network if teacher else ''}' differ in width"
            )


def _widths_that_do_not_fit(
    spec: RunSpec, loss: str, student: tuple[str, Shapes], teacher: tuple[str, Shapes]
) -> Iterator[str]:
    needs = spec.requirements(loss).needs
    (name, ours), (whose, theirs) = student, teacher
    if "states" in needs and not ours.states.keys() & theirs.states.keys():
        who = name if not ours.states else whose if not theirs.states else ""
        if who:
            yield f"the loss '{loss}' compares states, and the {who}'s encoder has none"
        else:
            layers = f"{', '.join(ours.states)} and {', '.join(theirs.states)}"
            yield f"the loss '{loss}' compares states, and no layer of both has the same name: {layers}"
    if "equal-widths" not in needs:
        return
    if "summary" in needs and ours.summary != theirs.summary:
        yield (
            f"the loss '{loss}' needs encodings of equal width; the {name}'s has {ours.summary} numbers, the "
            f"{whose}'s {theirs.summary}"
        )
    for layer in ours.states.keys() & theirs.states.keys() if "states" in needs else ():
        if ours.states[layer] != theirs.states[layer]:
            yield (
                f"the loss '{loss}' needs states of equal width; the {name}'s have {ours.states[layer]}, the "
                f"{whose}'s {theirs.states[layer]}"
            )
