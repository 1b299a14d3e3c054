"""What a phase minimises: each learner's losses, and whose outputs they compare it with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from distillbench.config.schedule_rules import members_of, teacher_of, term_key
from distillbench.data.batches import Batch, Reads
from distillbench.distributed.dropout import shared_dropout
from distillbench.distributed.gather import gather_output
from distillbench.distributed.processes import Share
from distillbench.interfaces import (
    Encoding,
    Learner,
    LossBatch,
    Output,
    Phase,
    Ramp,
    States,
    Teacher,
    Term,
    ViewSpec,
)
from distillbench.training.build import Experiment, LossKey, key_of, needs_states
from distillbench.training.callbacks import SILENT, Observer
from distillbench.training.ensembles import joined
from distillbench.training.output_cache import OutputCache
from distillbench.training.teacher_outputs import teacher_outputs


@dataclass(frozen=True)
class Shown:
    """A network and what it is shown, which is read and computed once a step however many terms ask for it.

    view: None for its own. training: whether frames are those of training. of: the learner whose frames
    it is shown, where they are not its own.
    """

    network: str
    view: ViewSpec | None = None
    training: bool = True
    of: Shown | None = None


@dataclass(frozen=True)
class _Term:
    """A term, and where its parts come from. teachers: several for an ensemble."""

    name: str
    learner: str
    term: Term
    key: LossKey
    student: Shown
    teachers: tuple[Shown, ...]
    teacher: Teacher | None


class Objective:
    """The losses of one phase of a run.

    Several processes encode a share of each batch and gather the outputs, so that every loss sees the
    whole batch, whatever it makes of it: a mean, a sum, a comparison of its videos. States alone are too
    large to send: a loss that reads them and claims to be a batch mean is computed of each share, and the
    means are averaged.

    views: what must be read: what learners see, and teachers that are not shown a learner's frames and
    whose outputs are not cached.
    """

    views: Mapping[str, Reads]

    def __init__(
        self, experiment: Experiment, phase: Phase, store: OutputCache, observer: Observer = SILENT
    ) -> None:
        """Computes the outputs of every frozen teacher once, unless a loss reads what is too large to keep."""
        self._experiment, self._phase = experiment, phase
        self._with_states = needs_states(experiment.spec, phase)
        self._terms = tuple(self._resolved())
        self._cached = {
            s: teacher_outputs(experiment, s.network, s.view, store, observer)
            for s in self._cacheable()
        }
        shown = dict.fromkeys(s for term in self._terms for s in (term.student, *term.teachers))
        views: dict[str, Reads | None] = {}
        for each in shown:
            if each in self._cached:
                views[_name(each)] = self._cached[each].view
            elif each.of is None:
                views[_name(each)] = experiment.view(
                    each.network, each.view, training=each.training
                )
        self.views = {name: view for name, view in views.items() if view is not None}
        self._apart = {term.key for term in self._terms if self._is_apart(term)}
        self._sends_states = any(
            "states" in experiment.spec.requirements(term.term.loss).needs
            for term in self._terms
            if term.key not in self._apart
        )

    @property
    def losses(self) -> list[LossKey]:
        """The losses of the phase, each once."""
        return list(dict.fromkeys(term.key for term in self._terms))

    def __call__(self, batch: Batch, sums: dict[str, Tensor], progress: float) -> Tensor:
        """Computes the sum of all learners' losses on a batch, a scalar, and adds each term to the running sums.

        Returns this process's part of the loss; the parts add up to the loss, and so do their gradients.
        """
        device, processes, share = self._experiment.device, self._experiment.processes, batch.share
        outputs = _Outputs(self, self._experiment, batch)
        labels = batch.labels.to(device, non_blocking=True)
        whole = LossBatch(labels, batch.videos, progress)
        rows = LossBatch(labels[share.computed], batch.videos[share.computed], progress)
        with shared_dropout(processes, share):
            for student in dict.fromkeys(term.student for term in self._terms):
                outputs.learn(student)
            for teacher in (teacher for term in self._terms for teacher in term.teachers):
                outputs.teacher_outputs(teacher)
        total = torch.zeros((), device=device)
        for term in self._terms:
            loss = self._experiment.losses[term.key]
            if term.key in self._apart:
                mean = loss(*outputs.own(term), rows)
                value = processes.sum(mean * (share.size / share.whole))
            else:
                value = loss(*outputs.whole(term), whole)
            weight = term.term.weight
            total = total + (weight.at(progress) if isinstance(weight, Ramp) else weight) * value
            where = f"{term.learner}/{term.name}"
            sums[where] = sums.get(where, 0.0) + value.detach().double() * len(batch.videos)
        return total / processes.count

    def after_step(self) -> None:
        """Tells every loss of the phase that the weights have moved."""
        for key in self.losses:
            self._experiment.losses[key].after_step()

    def _resolved(self) -> Iterator[_Term]:
        for name, learner in self._phase.learners.items():
            for term in learner.terms:
                student = self._student(name, learner, term)
                teacher = teacher_of(term)
                members = members_of(self._phase, teacher.network) if teacher else ()
                teachers = tuple(self._teacher(teacher, m, student) for m in members if teacher)
                key = key_of(name, term)
                yield _Term(term_key(term, learner), name, term, key, student, teachers, teacher)

    def _student(self, name: str, learner: Learner, term: Term) -> Shown:
        return self._usual(Shown(name, term.view or learner.view))

    def _teacher(self, teacher: Teacher, member: str, student: Shown) -> Shown:
        if teacher.view == "learner":
            return Shown(member, of=student)
        learner = self._phase.learners.get(member)
        if isinstance(teacher.view, ViewSpec):
            return self._usual(Shown(member, teacher.view, training=learner is not None))
        if learner is not None:
            return self._usual(Shown(member, learner.view))
        return Shown(member, training=False)

    def _usual(self, shown: Shown) -> Shown:
        """Leaves a view out that is what the network sees anyway."""
        spec = self._experiment.spec
        same = spec.view(shown.network, shown.view) == spec.view(shown.network)
        return replace(shown, view=None) if same else shown

    def _cacheable(self) -> list[Shown]:
        """Lists the frozen teachers whose output for a video is the same at every step, and is small."""
        if self._with_states or not self._phase.epochs:
            return []
        moving = {*self._phase.learners, *self._phase.averages}
        found: dict[Shown, None] = {}
        unfit: set[Shown] = set()
        for term in self._terms:
            needs = self._experiment.spec.requirements(term.term.loss).needs
            for shown in term.teachers:
                still = shown.network not in moving and shown.of is None and not shown.training
                learned = self._experiment.models[shown.network].selector is not None
                drawn = shown.view is not None and isinstance(shown.view.k, tuple)
                found |= {shown: None} if still and not learned and not drawn else {}
                unfit |= {shown} if needs & {"exits", "selection"} else set()
        return [shown for shown in found if shown not in unfit]

    def _is_apart(self, term: _Term) -> bool:
        """Tells whether a loss is computed of each process's share."""
        needs = self._experiment.spec.requirements(term.term.loss)
        loss = self._experiment.losses[term.key]
        is_mean = "batch-mean" in needs.claims and "batch" not in needs.needs
        return (
            self._experiment.processes.count > 1
            and is_mean
            and "states" in needs.needs
            and not (term.teacher and term.teacher.videos == "shuffled")
            and not any(True for _ in loss.buffers())
        )

    def _encode(self, shown: Shown, batch: Batch, seen: Mapping[Shown, Output]) -> Output:
        """Runs a network on this process's rows of a batch; seen: what learners made of them."""
        device, model = self._experiment.device, self._experiment.models[shown.network]
        if shown in self._cached:
            rows = batch.videos[batch.share.computed]
            return self._cached[shown].output(rows, batch.clips.get(_name(shown)), device)
        clips = batch.clips[_name(shown.of or shown)].to(device)
        chosen = seen[shown.of].selection if shown.of is not None else None
        if chosen is not None:
            clips = clips.take(chosen.index)
        output: Output = model(clips, with_states=self._with_states)
        return output


class _Outputs:
    """What every network made of one batch: of this process's rows, and of the whole batch."""

    def __init__(self, objective: Objective, experiment: Experiment, batch: Batch) -> None:
        self._objective, self._experiment, self._batch = objective, experiment, batch
        self._own: dict[Shown, Output] = {}
        self._whole: dict[Shown, Output] = {}

    def learn(self, shown: Shown) -> None:
        """Runs a learner, with gradient."""
        self._own[shown] = self._objective._encode(shown, self._batch, self._own)

    def own(self, term: _Term) -> tuple[Output, ...]:
        """Returns the arguments of a term's loss, of this process's rows."""
        student = self._own[term.student]
        teachers = [_detached(self.teacher_outputs(shown)) for shown in term.teachers]
        return (student, *self._joined(teachers))

    def whole(self, term: _Term) -> tuple[Output, ...]:
        """Returns the arguments of a term's loss, of the whole batch."""
        teachers = [_detached(self._gathered(shown)) for shown in term.teachers]
        if term.teacher and term.teacher.videos == "shuffled":
            teachers = [_rolled(teacher) for teacher in teachers]
        return (self._gathered(term.student), *self._joined(teachers))

    def _joined(self, teachers: Sequence[Output]) -> tuple[Output, ...]:
        if len(teachers) < 2:
            return tuple(teachers)
        return (joined(teachers, self._experiment.spec.label_kind),)

    def teacher_outputs(self, shown: Shown) -> Output:
        """Returns what a network made of this process's rows; one that was not run yet is run without gradient."""
        if shown not in self._own:
            with torch.no_grad():
                self._own[shown] = self._objective._encode(shown, self._batch, self._own)
        return self._own[shown]

    def _gathered(self, shown: Shown) -> Output:
        if shown not in self._whole:
            share: Share = self._batch.share
            sends = self._objective._sends_states
            self._whole[shown] = gather_output(
                self._experiment.processes, self.teacher_outputs(shown), share, sends
            )
        return self._whole[shown]


def _name(shown: Shown) -> str:
    """Names what is read for a network."""
    view = "" if shown.view is None else f" {shown.view.selector} {shown.view.k}"
    return shown.network + view + ("" if shown.training else " in evaluation")


def _detached(output: Output) -> Output:
    e = output.encoding
    states = {name: States(s.values.detach(), s.times) for name, s in e.states.items()}
    exits = tuple(summary.detach() for summary in e.exits)
    return replace(
        output,
        encoding=Encoding(e.summary.detach(), states, exits),
        logits=output.logits.detach(),
        exits=tuple(logits.detach() for logits in output.exits),
    )


def _rolled(output: Output) -> Output:
    """Gives every video the output of its neighbour in the (shuffled) batch."""
    e = output.encoding
    states = {name: States(s.values.roll(1, 0), s.times.roll(1, 0)) for name, s in e.states.items()}
    exits = tuple(summary.roll(1, 0) for summary in e.exits)
    return replace(
        output,
        encoding=Encoding(e.summary.roll(1, 0), states, exits),
        logits=output.logits.roll(1, 0),
        exits=tuple(logits.roll(1, 0) for logits in output.exits),
    )
