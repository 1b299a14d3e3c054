"""What a schedule may declare.

All faults of its networks and phases are reported at once, before anything is built.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from distillbench.interfaces import (
    Average,
    Copy,
    Ensemble,
    Follow,
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
from distillbench.untrusted import quoted

SECTIONS = ("teacher", "student")
"""The settings that a network can be built from."""
SELECTORS = ("selector", "train_selector", "teacher_selector")
"""The settings that name a selector."""
_MIXUP = (1e-3, 1e3)  # beyond, a share is always 0 or 1, or always a half
OPTIMIZER = ("learning_rate", "clip", "l2")
"""What a learner may set for itself."""


def teacher_of(term: Term) -> Teacher | None:
    """Returns whom a term compares its learner with.

    A plain name is a teacher with all else as usual.
    """
    return Teacher(term.teacher) if isinstance(term.teacher, str) else term.teacher


def faults(networks: object, phases: object, reports: object) -> list[str]:
    """Lists what is wrong with a schedule's declaration.

    Of another type, or names that do not go together.
    """
    found = list(_wrong_networks(networks))
    if not isinstance(phases, Sequence) or isinstance(phases, str):
        return [*found, f"its phases are {quoted(phases)}; they must be a list of Phase"]
    if not phases:
        found.append("it has no phases")
    for phase in phases:
        found += _wrong_phase(phase)
    if found:
        return found
    assert isinstance(networks, Mapping)
    found += _unknown(networks, phases, reports)
    return found or [*_repeated(phases), *_not_taught(phases), *_circles(phases)]


# -------------------------------------------------------------------------------------------- types


def _wrong_networks(networks: object) -> Iterator[str]:
    if not isinstance(networks, Mapping) or not networks:
        yield (
            f"its networks are {quoted(networks)}; they must be a mapping from name to NetworkSpec"
        )
        return
    for name, spec in networks.items():
        if type(name) is not str or not name or not name.replace("-", "_").isidentifier():
            yield f"a network is called {quoted(name)}; a name is letters, digits, '_' and '-'"
        if not isinstance(spec, NetworkSpec):
            yield f"the network {quoted(name)} is {quoted(spec)}; it must be a NetworkSpec"
        elif spec.section not in SECTIONS:
            yield (
                f"the network {quoted(name)} is built from the settings {quoted(spec.section)}; "
                f"there are: {', '.join(SECTIONS)}"
            )
        else:
            yield from _wrong_view(spec.view, f"the network '{name}'")
            if isinstance(spec.view, ViewSpec) and isinstance(spec.view.k, tuple):
                yield f"the network '{name}' sees a range of k; its own view must be one number"
            yield from _wrong_width(name, spec, networks)


def _wrong_width(
    name: object, spec: NetworkSpec, networks: Mapping[object, object]
) -> Iterator[str]:
    if spec.width_of is None:
        return
    what = f"the network {quoted(name)} has the width of {quoted(spec.width_of)}"
    other = networks.get(spec.width_of) if type(spec.width_of) is str else None
    if not isinstance(other, NetworkSpec) or spec.width_of == name:
        yield f"{what}; it must be another network"
    elif other.width_of is not None:
        yield f"{what}, which has that of {quoted(other.width_of)}; name that one"


def _wrong_view(view: object, whose: str) -> Iterator[str]:
    if view is None:
        return
    if not isinstance(view, ViewSpec):
        yield f"{whose} has the view {quoted(view)}; it must be a ViewSpec"
        return
    if view.selector is not None and view.selector not in SELECTORS:
        yield f"{whose} has a view by {quoted(view.selector)}; there are: {', '.join(SELECTORS)}"
    if view.k is None:
        return
    ends = view.k if isinstance(view.k, tuple) else (view.k, view.k)
    whole = all(type(end) is int and end >= 1 for end in ends)
    if len(ends) != 2 or not whole or ends[0] > ends[1]:
        yield f"{whose} has a view of k = {quoted(view.k)}; it must be an integer or a range"


def _wrong_phase(phase: object) -> Iterator[str]:
    if not isinstance(phase, Phase):
        yield f"{quoted(phase)} is not a phase; it must be a distillbench.interfaces.Phase"
        return
    where = f"phase {quoted(phase.name)}"
    if type(phase.name) is not str or not phase.name:
        yield f"{where}: its name is not text"
    if type(phase.epochs) is not int or phase.epochs < 0:
        yield (
            f"{where}: it has {quoted(phase.epochs)} epochs; it must be an integer of at least 0"
        )
    if not _is_mixup(phase.mixup):
        yield (
            f"{where}: its mixup is {quoted(phase.mixup)}; it must be 0 or a number "
            f"from {_MIXUP[0]:g} to {_MIXUP[1]:g}"
        )
    kinds = (("learners", Learner), ("averages", Average), ("ensembles", Ensemble), ("starts", str))
    for attribute, kind in kinds:
        pairs = getattr(phase, attribute)
        if not isinstance(pairs, Mapping) or not all(
            type(name) is str and isinstance(value, kind) for name, value in pairs.items()
        ):
            yield (
                f"{where}: its {attribute} are {quoted(pairs)}; they must be a mapping from name to"
                f" {kind.__name__}"
            )
            return
    for name, learner in phase.learners.items():
        yield from _wrong_learner(learner, f"{where}, {name}")
    for name, average in phase.averages.items():
        if type(average.source) is not str or not _is_number(average.decay, 0.0, 1.0):
            yield f"{where}: the average '{name}' is {quoted(average)}; its decay must be in [0, 1]"
    for name, ensemble in phase.ensembles.items():
        members = ensemble.members
        if type(members) is not tuple or not members or any(type(m) is not str for m in members):
            yield f"{where}: the ensemble '{name}' has the members {quoted(members)}"


def _wrong_learner(learner: Learner, where: str) -> Iterator[str]:
    if not isinstance(learner.terms, Sequence) or not learner.terms:
        yield f"{where}: it minimises {quoted(learner.terms)}; it must be a tuple of Term"
        return
    for term in learner.terms:
        if not isinstance(term, Term) or type(term.loss) is not str:
            yield (
                f"{where}: {quoted(term)} is not a term; it must be a Term with the name of a loss"
            )
            continue
        ends = (
            (term.weight.start, term.weight.end, term.weight.over)
            if isinstance(term.weight, Ramp)
            else (term.weight,)
        )
        if not all(_is_number(end, 0.0) for end in ends):
            yield (
                f"{where}: the weight of '{term.loss}' is {quoted(term.weight)}; "
                "it must be a finite number of at least 0"
            )
        yield from _wrong_view(term.view, where)
        yield from _wrong_teacher(term.teacher, where)
    yield from _wrong_view(learner.view, where)
    yield from _wrong_init(learner.init, where)
    if not isinstance(learner.optimizer, Mapping) or not all(
        name in OPTIMIZER and _is_number(value, 0.0) for name, value in learner.optimizer.items()
    ):
        yield (
            f"{where}: its optimizer is {quoted(learner.optimizer)}; "
            f"it may set: {', '.join(OPTIMIZER)}, each to a number of at least 0"
        )


def _wrong_teacher(teacher: object, where: str) -> Iterator[str]:
    if teacher is None or type(teacher) is str:
        return
    if not isinstance(teacher, Teacher) or type(teacher.network) is not str:
        yield f"{where}: its teacher is {quoted(teacher)}; it must be a Teacher or a name"
        return
    if not isinstance(teacher.view, ViewSpec) and teacher.view not in ("own", "learner"):
        yield (
            f"{where}: its teacher sees {quoted(teacher.view)}; there are: own, learner, a ViewSpec"
        )
    elif isinstance(teacher.view, ViewSpec):
        yield from _wrong_view(teacher.view, f"{where}: its teacher")
    if teacher.videos not in ("matched", "shuffled"):
        yield (
            f"{where}: its teacher's videos are {quoted(teacher.videos)}; there are: matched,"
            " shuffled"
        )
    if type(teacher.dropout) is not bool:
        yield f"{where}: its teacher's dropout is {quoted(teacher.dropout)}; it must be a bool"


def _wrong_init(init: object, where: str) -> Iterator[str]:
    if not isinstance(init, Init):
        yield f"{where}: its init is {quoted(init)}; it must be an Init"
        return
    if init.encoder not in ("keep", "fresh") and not isinstance(init.encoder, Copy):
        yield f"{where}: its encoder begins as {quoted(init.encoder)}; there are: keep, fresh, Copy"
    if init.head not in ("keep", "fresh") and not isinstance(
        init.head, Copy | Tie | Freeze | Follow
    ):
        yield (
            f"{where}: its head begins as {quoted(init.head)}; there are: keep, fresh, Copy, Tie,"
            " Freeze, Follow"
        )


def _is_mixup(value: object) -> bool:
    return _is_number(value, *_MIXUP) or _is_number(value, 0.0, 0.0)


def _is_number(value: object, least: float, most: float = math.inf) -> bool:
    return (
        type(value) in (int, float)
        and math.isfinite(value)  # type: ignore[arg-type]
        and least <= value <= most  # type: ignore[operator]
    )


# -------------------------------------------------------------------------------------------- names


def sources_of(learner: Learner) -> set[str]:
    """Lists the networks whose weights a learner begins with."""
    parts = (learner.init.encoder, learner.init.head)
    return {part.network for part in parts if not isinstance(part, str)}


def teachers_of(phase: Phase) -> dict[str, list[Teacher]]:
    """Lists the teachers of a phase's terms, by learner."""
    return {
        name: [teacher for term in learner.terms if (teacher := teacher_of(term)) is not None]
        for name, learner in phase.learners.items()
    }


def members_of(phase: Phase, name: str) -> tuple[str, ...]:
    """Returns the networks that a teacher's name stands for: those of an ensemble, or itself."""
    ensemble = phase.ensembles.get(name)
    return (name,) if ensemble is None else ensemble.members


def networks_of(phase: Phase) -> set[str]:
    """Lists every network that a phase trains, is taught by, or takes weights from."""
    taught = [teacher.network for teachers in teachers_of(phase).values() for teacher in teachers]
    return {
        *phase.learners,
        *phase.averages,
        *(average.source for average in phase.averages.values()),
        *phase.starts,
        *phase.starts.values(),
        *(name for learner in phase.learners.values() for name in sources_of(learner)),
        *(member for name in taught for member in members_of(phase, name)),
    }


def changed_by(phase: Phase) -> set[str]:
    """Lists the networks whose weights a phase changes.

    Those that share a tied head with a learner as well.
    """
    tied = {
        learner.init.head.network
        for learner in phase.learners.values()
        if isinstance(learner.init.head, Tie)
    }
    return {*phase.learners, *phase.averages, *phase.starts, *tied}


def _unknown(
    networks: Mapping[str, NetworkSpec], phases: Sequence[Phase], reports: object
) -> Iterator[str]:
    known = ", ".join(networks)
    if type(reports) is not str or reports not in networks:
        yield f"it reports {quoted(reports)}, and has the networks: {known}"
    for phase in phases:
        for name in sorted(networks_of(phase) - networks.keys()):
            yield f"phase '{phase.name}' speaks of the network '{name}'; there are: {known}"
        for name in sorted(phase.ensembles.keys() & networks.keys()):
            yield f"phase '{phase.name}' has an ensemble '{name}', which is the name of a network"
        for name in sorted(phase.ensembles):
            for member in phase.ensembles[name].members:
                if member in phase.ensembles:
                    yield f"phase '{phase.name}': the ensemble '{name}' has an ensemble as a member"


def _repeated(phases: Sequence[Phase]) -> Iterator[str]:
    names = [phase.name for phase in phases]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f"two phases are called '{name}'"
    for phase in phases:
        if not phase.learners:
            yield f"nobody learns in phase '{phase.name}'"
        for name in sorted(phase.learners.keys() & phase.averages.keys()):
            yield f"phase '{phase.name}': '{name}' both learns and is an average"
        for name, learner in phase.learners.items():
            keys = [term_key(term, learner) for term in learner.terms]
            for key in dict.fromkeys(keys):
                if keys.count(key) > 1:
                    yield f"phase '{phase.name}': the {name} has the loss '{key}' twice"


def term_key(term: Term, learner: Learner) -> str:
    """Names a term among those of a learner.

    By its loss, and by its teacher or view where that is not enough.
    """
    same = [other for other in learner.terms if other.loss == term.loss]
    if len(same) == 1:
        return term.loss
    teacher = teacher_of(term)
    parts = [term.loss, teacher.network if teacher else "", _written(term.view)]
    return ":".join(part for part in parts if part)


def _written(view: ViewSpec | None) -> str:
    if view is None:
        return ""
    k = "-".join(map(str, view.k)) if isinstance(view.k, tuple) else view.k
    return ":".join(str(part) for part in (view.selector, k) if part is not None)


def _not_taught(phases: Sequence[Phase]) -> Iterator[str]:
    """Tells of teachers, and sources of weights, that have learnt nothing by then."""
    ready = set[str]()
    for phase in phases:
        ready |= {name for name, source in phase.starts.items() if source in ready}
        learning = ready | phase.learners.keys()
        learning |= {name for name, average in phase.averages.items() if average.source in learning}
        for name, teachers in teachers_of(phase).items():
            for teacher in teachers:
                for member in members_of(phase, teacher.network):
                    if member not in learning and not teacher.untrained:
                        yield (
                            f"phase '{phase.name}': the {member} teaches the {name} and has learnt"
                            " nothing"
                        )
        ready = learning


def _circles(phases: Sequence[Phase]) -> Iterator[str]:
    """Tells of weights that are to come from one another."""
    for phase in phases:
        heads: dict[str, str] = {}
        encoders: dict[str, str] = {}
        for name, learner in phase.learners.items():
            if not isinstance(learner.init.head, str):
                heads[name] = learner.init.head.network
            if not isinstance(learner.init.encoder, str):
                encoders[name] = learner.init.encoder.network
        follows = {name: average.source for name, average in phase.averages.items()}
        pairs = (
            ("heads", heads),
            ("encoders", encoders),
            ("averages", follows),
            ("starts", phase.starts),
        )
        for what, sources in pairs:
            for name in sources:
                if name in _reached(sources, name):
                    yield f"phase '{phase.name}': the {what} of {name} come from its own"


def _reached(sources: Mapping[str, str], name: str) -> set[str]:
    found = set[str]()
    while name in sources and sources[name] not in found:
        name = sources[name]
        found.add(name)
    return found


def in_order(sources: Mapping[str, str]) -> Iterable[str]:
    """Orders names so that each comes after the one it takes from; there is no circle."""
    return sorted(sources, key=lambda name: (len(_reached(sources, name)), name))
