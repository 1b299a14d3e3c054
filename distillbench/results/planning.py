"""What a grid still asks for: which runs are answered, which share a teacher, and what the rest will cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from distillbench.errors import ConfigError, ResultError
from distillbench.evaluation.cost import count_macs
from distillbench.interfaces import Phase, Splits, Videos, ViewSpec
from distillbench.networks import Model, precision_on, probe
from distillbench.results import answer, record
from distillbench.schedule_rules import members_of, teacher_of
from distillbench.setup import Choice, Setup, digest
from distillbench.training.assemble import Parts, check_lengths, needs_states, open_data
from distillbench.training.teachers import TeacherStore, is_shared, phase_key

TRAINING_PASSES = 3
"""A step costs a forward pass and twice as much again for the two products of its backward pass."""


@dataclass(frozen=True)
class Job:
    """One run to make.

    work: multiply-accumulates of its training, without a teacher that another run may have trained; teacher_work: of
    that teacher. teacher: what names it among the jobs, or None where the run trains its own or none.
    """

    setup: Setup
    work: float
    teacher: str | None
    teacher_work: float


@dataclass(frozen=True)
class Plan:
    """The jobs of a grid that are left, the setups that are answered, and the teachers that are stored already.

    pace: seconds of one core a multiply-accumulate, as the answered runs had it; None where none was answered here.
    """

    jobs: tuple[Job, ...]
    answered: tuple[Setup, ...]
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


def plan(setups: Sequence[Setup], workplace: answer.Workplace) -> Plan:
    """Opens every data set of a grid once and finds out what is left to do.

    Raises `ConfigError` with every run that asks for more frames than its data has, `DataError` where data is not there.
    """
    device = answer.find_device(workplace.device)
    opened = {digest(setup.data.describe()): setup for setup in setups}
    data = {key: open_data(setup) for key, setup in opened.items()}
    splits_of = {setup.key: data[digest(setup.data.describe())] for setup in setups}
    _check(setups, splits_of)
    jobs, answered, stored = [], [], set()
    store = TeacherStore(workplace.results / "teachers", refresh=workplace.retrain)
    works = _Works()
    seconds = spent = 0.0
    for setup in setups:
        splits = splits_of[setup.key]
        student, teacher = works.of(setup, splits)
        known = _known(setup, splits, workplace)
        if known is not None:
            answered.append(setup)
            seconds += sum(row["seconds"] for row in known.content["history"])
            spent += student + teacher
            continue
        name = _teacher_name(setup, splits, device)
        if name is not None and name not in stored and store.find(name) is not None:
            stored.add(name)
        jobs.append(Job(setup, student, name, teacher))
    return Plan(tuple(jobs), tuple(answered), frozenset(stored), seconds / spent if spent else None)


def _check(setups: Sequence[Setup], splits_of: Mapping[str, Splits]) -> None:
    problems: list[str] = []
    for setup in setups:
        try:
            check_lengths(setup, splits_of[setup.key])
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(dict.fromkeys(problems))


def _known(setup: Setup, splits: Splits, workplace: answer.Workplace) -> record.Result | None:
    if workplace.again or workplace.retrain:
        return None
    try:
        return answer.answered(setup, splits, workplace.results)
    except ResultError:
        return None


def _teacher_name(setup: Setup, splits: Splits, device: torch.device) -> str | None:
    if not setup.phases or not is_shared(setup, 0):
        return None
    return phase_key(_as_parts(setup, splits, device), 0)


def _as_parts(setup: Setup, splits: Splits, device: torch.device) -> Parts:
    return Parts(setup, splits, {}, {}, device, precision_on(device, setup.training.precision))


class _Works:
    """Counts multiply-accumulates of training, each distinct network once."""

    def __init__(self) -> None:
        self._macs: dict[str, float] = {}

    def of(self, setup: Setup, splits: Splits) -> tuple[float, float]:
        """Returns the work of a run without, and of, the teacher that it could share."""
        works = [self._of_phase(setup, splits, phase) for phase in setup.phases]
        shared = works[0] if works and is_shared(setup, 0) else 0.0
        return sum(works) - shared, shared

    def _of_phase(self, setup: Setup, splits: Splits, phase: Phase) -> float:
        videos, moving = len(splits.train), {*phase.learners, *phase.averages}
        learning: dict[tuple[str, ViewSpec], None] = {}
        asked: dict[tuple[str, ViewSpec], int] = {}
        for name, learner in phase.learners.items():
            for term in learner.terms:
                own = setup.view(name, term.view or learner.view)
                learning[name, own] = None
                teacher = teacher_of(term)
                for member in members_of(phase, teacher.network) if teacher else ():
                    shown = teacher.view if teacher and isinstance(teacher.view, ViewSpec) else None
                    same = bool(teacher and teacher.view == "learner")
                    again = same or member in moving or needs_states(setup, phase)
                    view = own if same else setup.view(member, shown)
                    asked[member, view] = phase.epochs if again else 1
        work = sum(TRAINING_PASSES * phase.epochs * videos * self._forward(setup, splits, *each) for each in learning)
        return work + sum(
            times * videos * self._forward(setup, splits, *each)
            for each, times in asked.items()
            if each not in learning
        )

    def _forward(self, setup: Setup, splits: Splits, network: str, view: ViewSpec) -> float:
        """Counts a network's pass over one video of average length."""
        encoder, train = setup.encoder(network), splits.train
        most = view.k[1] if isinstance(view.k, tuple) else view.k
        shown = train.lengths if most is None else train.lengths.clamp_max(most)
        frames = max(1, round(float(shown.double().mean())))
        key = digest([encoder.describe(), setup.head.describe(), frames, train.width, train.labels.count])
        if key not in self._macs:
            self._macs[key] = _macs(encoder, setup.head, train, frames)
        return self._macs[key]


def _macs(encoder: Choice, head: Choice, videos: Videos, frames: int) -> float:
    """Counts one video's multiply-accumulates; 0 where they cannot be counted."""
    built = encoder.build(videos.width)
    shapes = probe(built, videos.width, videos.labels.count)
    model = Model(built, head.build(shapes.summary, videos.labels.count), videos.codec)
    inner, outer, _ = count_macs(model, videos.width, frames, frames)
    return float((inner or 0) + (outer or 0))
