"""What is left of a grid.

Which runs are finished, which share a teacher, and what the rest will cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from distillbench.config.run_spec import Choice, RunSpec, digest
from distillbench.config.schedule_rules import members_of, teacher_of
from distillbench.errors import ConfigError, ResultError
from distillbench.evaluation.cost import count_macs
from distillbench.experiments.context import RunContext, find_device
from distillbench.experiments.stored import find_stored
from distillbench.interfaces import Phase, Splits, Videos, ViewSpec
from distillbench.networks import Model, precision_on, probe
from distillbench.results import store
from distillbench.training.build import Experiment, check_lengths, needs_states, open_data
from distillbench.training.teacher_store import TeacherStore, is_shareable, phase_key

TRAINING_PASSES = 3
"""A step costs a forward pass and twice as much again for the two products of its backward pass."""


@dataclass(frozen=True)
class Job:
    """One run to make.

    work: multiply-accumulates of its training, without a teacher that another run may have trained;
    teacher_work: of that teacher.
    teacher: what names it among the jobs, or None where the run trains its own or none.
    """

    spec: RunSpec
    work: float
    teacher: str | None
    teacher_work: float


@dataclass(frozen=True)
class Plan:
    """The jobs of a grid that are left, the finished runs and the stored teachers.

    pace: seconds of one core for each multiply-accumulate, in the finished runs; None where none
    is finished here.
    """

    jobs: tuple[Job, ...]
    finished: tuple[RunSpec, ...]
    stored_teachers: frozenset[str]
    pace: float | None

    @property
    def teachers(self) -> dict[str, float]:
        """The teachers that have to be trained first, and the work of each."""
        named = {job.teacher: job.teacher_work for job in self.jobs if job.teacher is not None}
        return {name: work for name, work in named.items() if name not in self.stored_teachers}

    @property
    def work(self) -> float:
        """Multiply-accumulates of all that is left to train."""
        return sum(job.work for job in self.jobs) + sum(self.teachers.values())


def plan(specs: Sequence[RunSpec], context: RunContext) -> Plan:
    """Opens every data set of a grid once and finds out what is left to do.

    Raises `ConfigError` with every run that needs more frames than its data has, `DataError`
    where data is not there.
    """
    device = find_device(context.device)
    opened = {digest(spec.data.describe()): spec for spec in specs}
    data = {key: open_data(spec) for key, spec in opened.items()}
    splits_of = {spec.key: data[digest(spec.data.describe())] for spec in specs}
    _check(specs, splits_of)
    jobs, finished, stored = [], [], set()
    store = TeacherStore(context.results / "teachers", refresh=context.retrain)
    works = _Works()
    seconds = spent = 0.0
    for spec in specs:
        splits = splits_of[spec.key]
        student, teacher = works.of(spec, splits)
        known = _known(spec, splits, context)
        if known is not None:
            finished.append(spec)
            seconds += known.record.seconds
            spent += student + teacher
            continue
        name = _teacher_name(spec, splits, device)
        if name is not None and name not in stored and store.find(name) is not None:
            stored.add(name)
        jobs.append(Job(spec, student, name, teacher))
    return Plan(tuple(jobs), tuple(finished), frozenset(stored), seconds / spent if spent else None)


def _check(specs: Sequence[RunSpec], splits_of: Mapping[str, Splits]) -> None:
    problems: list[str] = []
    for spec in specs:
        try:
            check_lengths(spec, splits_of[spec.key])
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(dict.fromkeys(problems))


def _known(spec: RunSpec, splits: Splits, context: RunContext) -> store.Result | None:
    if context.again or context.retrain:
        return None
    try:
        return find_stored(spec, splits, context.results)
    except ResultError:
        return None


def _teacher_name(spec: RunSpec, splits: Splits, device: torch.device) -> str | None:
    if not spec.phases or not is_shareable(spec, 0):
        return None
    return phase_key(_as_parts(spec, splits, device), 0)


def _as_parts(spec: RunSpec, splits: Splits, device: torch.device) -> Experiment:
    return Experiment(spec, splits, {}, {}, device, precision_on(device, spec.training.precision))


class _Works:
    """Counts multiply-accumulates of training, each distinct network once."""

    def __init__(self) -> None:
        self._macs: dict[str, float] = {}

    def of(self, spec: RunSpec, splits: Splits) -> tuple[float, float]:
        """Returns the work of a run without, and of, the teacher that it could share."""
        works = [self._of_phase(spec, splits, phase) for phase in spec.phases]
        shared = works[0] if works and is_shareable(spec, 0) else 0.0
        return sum(works) - shared, shared

    def _of_phase(self, spec: RunSpec, splits: Splits, phase: Phase) -> float:
        videos, moving = len(splits.train), {*phase.learners, *phase.averages}
        learning: dict[tuple[str, ViewSpec], None] = {}
        passes: dict[tuple[str, ViewSpec], int] = {}
        for name, learner in phase.learners.items():
            for term in learner.terms:
                own = spec.view(name, term.view or learner.view)
                learning[name, own] = None
                teacher = teacher_of(term)
                for member in members_of(phase, teacher.network) if teacher else ():
                    shown = teacher.view if teacher and isinstance(teacher.view, ViewSpec) else None
                    same = bool(teacher and teacher.view == "learner")
                    again = same or member in moving or needs_states(spec, phase)
                    view = own if same else spec.view(member, shown)
                    passes[member, view] = phase.epochs if again else 1
        work = sum(
            TRAINING_PASSES * phase.epochs * videos * self._forward(spec, splits, *each)
            for each in learning
        )
        return work + sum(
            times * videos * self._forward(spec, splits, *each)
            for each, times in passes.items()
            if each not in learning
        )

    def _forward(self, spec: RunSpec, splits: Splits, network: str, view: ViewSpec) -> float:
        """Counts a network's pass over one video of average length."""
        encoder, train = spec.encoder(network), splits.train
        most = view.k[1] if isinstance(view.k, tuple) else view.k
        shown = train.lengths if most is None else train.lengths.clamp_max(most)
        frames = max(1, round(float(shown.double().mean())))
        key = digest(
            [encoder.describe(), spec.head.describe(), frames, train.width, train.labels.count]
        )
        if key not in self._macs:
            self._macs[key] = _macs(encoder, spec.head, train, frames)
        return self._macs[key]


def _macs(encoder: Choice, head: Choice, videos: Videos, frames: int) -> float:
    """Counts one video's multiply-accumulates; 0 where they cannot be counted."""
    built = encoder.build(videos.width)
    shapes = probe(built, videos.width, videos.labels.count)
    model = Model(built, head.build(shapes.summary, videos.labels.count), videos.codec)
    inner, outer, _ = count_macs(model, videos.width, frames, frames)
    return float((inner or 0) + (outer or 0))
