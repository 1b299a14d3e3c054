"""The loss of a training step: each learner's terms, and the outputs that they compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from distillbench.config.schedule_rules import members_of, teacher_of, term_key
from distillbench.data.batches import Batch, Reads
from distillbench.distributed.dropout import shared_dropout
from distillbench.distributed.gather import gather_output
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
from distillbench.mixing import Mixup
from distillbench.networks import evaluating
from distillbench.training.build import Experiment, LossKey, key_of, needs_states
from distillbench.training.callbacks import SILENT, Observer
from distillbench.training.ensembles import average_outputs
from distillbench.training.output_cache import OutputCache
from distillbench.training.teacher_outputs import TeacherOutputs, teacher_outputs


@dataclass(frozen=True)
class ForwardPass:
    """A network and the frames it sees; computed once per step, however many terms use it.

    network: its name.
    view: the frames that it sees; None for its own view.
    training: whether the frames are chosen as in training.
    frames_of: the learner's forward pass whose frames it sees; None if it reads frames itself.
    without_dropout: whether a network that learns is set to evaluation mode for it.
    """

    network: str
    view: ViewSpec | None = None
    training: bool = True
    frames_of: ForwardPass | None = None
    without_dropout: bool = False

    @property
    def clips_name(self) -> str:
        """The name of its frames in a batch."""
        view = "" if self.view is None else f" {self.view.selector} {self.view.k}"
        mode = "" if self.training else " in evaluation"
        return self.network + view + mode


@dataclass(frozen=True)
class _LearnerTerm:
    """A term of a learner with everything that its value depends on.

    name: its name among the learner's terms, as in the history.
    key: its loss.
    student, teachers: the forward passes that it compares; an ensemble has several teachers.
    teacher: what the schedule declares of the teacher; None for a loss on the labels.
    """

    name: str
    learner: str
    term: Term
    key: LossKey
    student: ForwardPass
    teachers: tuple[ForwardPass, ...]
    teacher: Teacher | None


class Objective:
    """The sum of all losses of one phase.

    Several processes encode a share of each batch and gather the outputs. Every loss then sees the
    whole batch, whether it is a mean, a sum or a comparison of videos.

    States are too large to send. A loss that reads them and claims to be a batch mean is computed
    on each process's share, and the means are averaged.

    views: the frames to read for each batch, by `ForwardPass.clips_name`. They are those of
        learners, and of teachers that see no learner's frames and have no cached outputs.
    gathers_states: whether some loss reads the states of the whole batch.
    mixup: draws how the videos of each batch are mixed; None where the phase mixes nothing.
    """

    views: Mapping[str, Reads]

    def __init__(
        self, experiment: Experiment, phase: Phase, store: OutputCache, observer: Observer = SILENT
    ) -> None:
        """Computes the outputs of frozen teachers that are not cached yet.

        Nothing is cached if a loss of the phase reads states, which are too large.
        """
        self._experiment = experiment
        self._phase = phase
        self.mixup = Mixup(phase.mixup, experiment.spec.seed, phase.name) if phase.mixup else None
        self._with_states = needs_states(experiment.spec, phase)
        self._terms = tuple(self._resolved_terms())
        self._frame_by_frame = {
            forward
            for term in self._terms
            if "frame-logits" in self._needs(term)
            for forward in term.teachers
        }
        self._cached: dict[ForwardPass, TeacherOutputs] = {}
        for forward in self._cacheable():
            self._cached[forward] = teacher_outputs(
                experiment, forward.network, forward.view, store, observer
            )
        self.views = self._views_to_read()
        self._local_losses = {term.key for term in self._terms if self._is_local(term)}
        self.gathers_states = any(
            "states" in self._needs(term)
            for term in self._terms
            if term.key not in self._local_losses
        )

    # ----------------------------------------------------------------------------------- a step

    def __call__(self, batch: Batch, sums: dict[str, Tensor], progress: float) -> Tensor:
        """Computes the loss of a batch, a scalar, and adds each term to the running sums.

        With several processes this is one process's part of the loss: the parts add up to the
        loss, and their gradients to its gradient.

        batch: the videos, their labels and the frames of `views`.
        sums: by learner and term, the term without its weight, summed over videos.
        progress: the finished share of the phase, from 0 to 1, on which a `Ramp` depends.
        """
        device = self._experiment.device
        processes = self._experiment.processes
        share = batch.share
        labels = batch.labels.to(device, non_blocking=True)
        whole_batch = LossBatch(labels, batch.videos, progress)
        local_batch = LossBatch(labels[share.computed], batch.videos[share.computed], progress)
        outputs = _BatchOutputs(self, self._experiment, batch)
        with shared_dropout(processes, share):
            # Learners run first, with gradient: a teacher may be another learner of the phase,
            # and one that sees a learner's frames needs what the learner selected.
            for student in dict.fromkeys(term.student for term in self._terms):
                outputs.run_learner(student)
            for term in self._terms:
                for teacher in term.teachers:
                    outputs.local(teacher)
        total = torch.zeros((), device=device)
        for term in self._terms:
            loss = self._experiment.losses[term.key]
            if term.key in self._local_losses:
                mean = loss(*outputs.local_arguments(term), local_batch)
                # Shares differ in size: a mean counts as often as it has videos.
                value = processes.sum(mean * (share.size / share.whole))
            else:
                value = loss(*outputs.whole_arguments(term), whole_batch)
            weight = term.term.weight
            factor = weight.at(progress) if isinstance(weight, Ramp) else weight
            total = total + factor * value
            name = f"{term.learner}/{term.name}"
            sums[name] = sums.get(name, 0.0) + value.detach().double() * len(batch.videos)
        # Every process has computed the same total.
        return total / processes.count

    @property
    def losses(self) -> list[LossKey]:
        """The losses of the phase, each once."""
        return list(dict.fromkeys(term.key for term in self._terms))

    def after_step(self) -> None:
        """Calls `after_step` of every loss of the phase."""
        for key in self.losses:
            self._experiment.losses[key].after_step()

    def run(
        self, forward: ForwardPass, batch: Batch, outputs: Mapping[ForwardPass, Output]
    ) -> Output:
        """Runs a network on this process's rows of a batch.

        outputs: of the forward passes before it, among them those of all learners.
        """
        device = self._experiment.device
        if forward in self._cached:
            videos = batch.videos[batch.share.computed]
            clips = batch.clips.get(forward.clips_name)
            return self._cached[forward].output(videos, clips, device)
        source = forward if forward.frames_of is None else forward.frames_of
        clips = batch.clips[source.clips_name].to(device)
        if forward.frames_of is not None:
            selection = outputs[forward.frames_of].selection
            if selection is not None:
                clips = clips.take(selection.index)
        model = self._experiment.models[forward.network]
        with evaluating(model) if forward.without_dropout else nullcontext():
            output: Output = model(clips, with_states=self._with_states, mixing=batch.mixing)
        if forward in self._frame_by_frame:
            frame_logits = model.frame_logits(clips)
            output = replace(output, frame_logits=frame_logits)
        return output

    # ----------------------------------------------------------------- which network sees what

    def _resolved_terms(self) -> Iterator[_LearnerTerm]:
        for name, learner in self._phase.learners.items():
            for term in learner.terms:
                student = self._without_usual_view(ForwardPass(name, term.view or learner.view))
                teacher = teacher_of(term)
                teachers: tuple[ForwardPass, ...] = ()
                if teacher is not None:
                    members = members_of(self._phase, teacher.network)
                    teachers = tuple(
                        self._teacher_pass(teacher, member, student) for member in members
                    )
                yield _LearnerTerm(
                    name=term_key(term, learner),
                    learner=name,
                    term=term,
                    key=key_of(name, term),
                    student=student,
                    teachers=teachers,
                    teacher=teacher,
                )

    def _teacher_pass(self, teacher: Teacher, member: str, student: ForwardPass) -> ForwardPass:
        """Returns the forward pass of one network of a teacher."""
        found = self._teacher_frames(teacher, member, student)
        learns = member in self._phase.learners
        return replace(found, without_dropout=learns and not teacher.dropout)

    def _teacher_frames(self, teacher: Teacher, member: str, student: ForwardPass) -> ForwardPass:
        if teacher.view == "learner":
            return ForwardPass(member, frames_of=student)
        learner: Learner | None = self._phase.learners.get(member)
        if isinstance(teacher.view, ViewSpec):
            is_learning = learner is not None
            return self._without_usual_view(ForwardPass(member, teacher.view, is_learning))
        if learner is not None:
            # Its own view as a learner: the output that its own losses use anyway.
            return self._without_usual_view(ForwardPass(member, learner.view))
        return ForwardPass(member, training=False)

    def _without_usual_view(self, forward: ForwardPass) -> ForwardPass:
        """Drops a view that the network has anyway, so that equal forward passes compare equal."""
        spec = self._experiment.spec
        is_usual = spec.view(forward.network, forward.view) == spec.view(forward.network)
        return replace(forward, view=None) if is_usual else forward

    def _views_to_read(self) -> dict[str, Reads]:
        forwards: dict[ForwardPass, None] = {}
        for term in self._terms:
            forwards |= dict.fromkeys((term.student, *term.teachers))
        views: dict[str, Reads | None] = {}
        for forward in forwards:
            if forward in self._cached:
                views[forward.clips_name] = self._cached[forward].view
            elif forward.frames_of is None:
                views[forward.clips_name] = self._experiment.view(
                    forward.network, forward.view, training=forward.training
                )
        return {name: view for name, view in views.items() if view is not None}

    # ------------------------------------------------------- what is cached, and what is shared

    def _needs(self, term: _LearnerTerm) -> frozenset[str]:
        return frozenset(self._experiment.spec.requirements(term.term.loss).needs)

    def _cacheable(self) -> list[ForwardPass]:
        """Lists the teachers whose output for a video is small and the same at every step."""
        # A mixed video is another one at every step.
        if self._with_states or not self._phase.epochs or self._phase.mixup:
            return []
        constant: dict[ForwardPass, None] = {}
        incomplete: set[ForwardPass] = set()
        for term in self._terms:
            # The cache holds encodings, from which the logits follow but no exits or selection.
            needs_more = self._needs(term) & {"exits", "selection", "frame-logits"}
            for forward in term.teachers:
                if self._is_constant(forward):
                    constant[forward] = None
                if needs_more:
                    incomplete.add(forward)
        return [forward for forward in constant if forward not in incomplete]

    def _is_constant(self, forward: ForwardPass) -> bool:
        """Tells whether a forward pass gives the same output for a video at every step."""
        changing = {*self._phase.learners, *self._phase.averages}
        if forward.network in changing:
            return False
        if forward.training or forward.frames_of is not None:
            return False
        if self._experiment.models[forward.network].selector is not None:
            return False
        draws_k = forward.view is not None and isinstance(forward.view.k, tuple)
        return not draws_k

    def _is_local(self, term: _LearnerTerm) -> bool:
        """Tells whether a loss is computed on each process's share of a batch."""
        if self._experiment.processes.count == 1:
            return False
        requirements = self._experiment.spec.requirements(term.term.loss)
        is_mean = "batch-mean" in requirements.claims and "batch" not in requirements.needs
        if not is_mean or "states" not in requirements.needs:
            return False
        if term.teacher and term.teacher.videos == "shuffled":
            return False  # the neighbor of a share's first video is in another share
        # Buffers, such as a memory bank, must see the whole batch to stay equal in all processes.
        has_buffers = any(True for _ in self._experiment.losses[term.key].buffers())
        return not has_buffers


class _BatchOutputs:
    """The outputs for one batch: of this process's rows (local), and of all rows (whole)."""

    def __init__(self, objective: Objective, experiment: Experiment, batch: Batch) -> None:
        self._objective = objective
        self._experiment = experiment
        self._batch = batch
        self._local: dict[ForwardPass, Output] = {}
        self._whole: dict[ForwardPass, Output] = {}

    def run_learner(self, forward: ForwardPass) -> None:
        """Runs a learner on this process's rows, with gradient."""
        self._local[forward] = self._objective.run(forward, self._batch, self._local)

    def local(self, forward: ForwardPass) -> Output:
        """Returns the output for this process's rows.

        A network that has not run yet runs without gradient.
        """
        if forward not in self._local:
            with torch.no_grad():
                self._local[forward] = self._objective.run(forward, self._batch, self._local)
        return self._local[forward]

    def local_arguments(self, term: _LearnerTerm) -> tuple[Output, ...]:
        """Returns the arguments of a term's loss for this process's rows."""
        student = self._local[term.student]
        teachers = [_detached(self.local(forward)) for forward in term.teachers]
        return (student, *self._as_one(teachers))

    def whole_arguments(self, term: _LearnerTerm) -> tuple[Output, ...]:
        """Returns the arguments of a term's loss for the whole batch."""
        teachers = [_detached(self._gathered(forward)) for forward in term.teachers]
        if term.teacher and term.teacher.videos == "shuffled":
            teachers = [_rolled(teacher) for teacher in teachers]
        return (self._gathered(term.student), *self._as_one(teachers))

    def _as_one(self, teachers: Sequence[Output]) -> tuple[Output, ...]:
        if len(teachers) < 2:
            return tuple(teachers)
        return (average_outputs(teachers, self._experiment.spec.label_kind),)

    def _gathered(self, forward: ForwardPass) -> Output:
        if forward not in self._whole:
            self._whole[forward] = gather_output(
                self._experiment.processes,
                self.local(forward),
                self._batch.share,
                self._objective.gathers_states,
            )
        return self._whole[forward]


def _detached(output: Output) -> Output:
    """Cuts an output off from its gradient: a teacher that learns as well must not get it."""
    encoding = output.encoding
    states = {
        layer: States(found.values.detach(), found.times)
        for layer, found in encoding.states.items()
    }
    exits = tuple(summary.detach() for summary in encoding.exits)
    return replace(
        output,
        encoding=Encoding(encoding.summary.detach(), states, exits),
        logits=output.logits.detach(),
        exits=tuple(logits.detach() for logits in output.exits),
    )


def _rolled(output: Output) -> Output:
    """Gives every video the output of the video before it in the (shuffled) batch."""
    encoding = output.encoding
    states = {layer: _rolled_states(found) for layer, found in encoding.states.items()}
    exits = tuple(summary.roll(1, 0) for summary in encoding.exits)
    return replace(
        output,
        encoding=Encoding(encoding.summary.roll(1, 0), states, exits),
        logits=output.logits.roll(1, 0),
        frame_logits=output.frame_logits and _rolled_states(output.frame_logits),
        exits=tuple(logits.roll(1, 0) for logits in output.exits),
    )


def _rolled_states(states: States) -> States:
    return States(states.values.roll(1, 0), states.times.roll(1, 0))
