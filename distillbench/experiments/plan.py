"""What is left of a grid.

Which runs are finished, which share a teacher, and what the rest will cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from distillbench.config.run_spec import RunSpec, digest
from distillbench.errors import ConfigError, ResultError
from distillbench.experiments.context import RunContext, find_device, open_for
from distillbench.experiments.stored import find_stored, fingerprints
from distillbench.experiments.training_work import Works
from distillbench.interfaces import Splits
from distillbench.networks import precision_on
from distillbench.results import store
from distillbench.training.build import Experiment, check_lengths
from distillbench.training.teacher_store import TeacherStore, is_shareable, phase_key


@dataclass(frozen=True)
class Job:
    """One run to make.

    work: multiply-accumulates of its training, without a teacher that another run may have trained;
    teacher_work: of that teacher.
    teacher: what names it among the jobs, or None where the run trains its own or none.
    data: a hash of each split's content.
    """

    spec: RunSpec
    work: float
    teacher: str | None
    teacher_work: float
    data: Mapping[str, str]


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
    device = find_device(context.device, here=False)
    data_of = {spec.key: digest(spec.data.describe()) for spec in specs}
    opened = {data_of[spec.key]: spec for spec in specs}
    data = {name: open_for(spec, context) for name, spec in opened.items()}
    splits_of = {key: data[name] for key, name in data_of.items()}
    hashes = {name: fingerprints(splits) for name, splits in data.items()}
    _check(specs, splits_of)
    jobs, finished, stored = [], [], set()
    store = TeacherStore(context.results / "teachers", refresh=context.retrain)
    works = Works()
    seconds = spent = 0.0
    for spec in specs:
        splits = splits_of[spec.key]
        student, teacher = works.planned(spec, splits)
        of_data = hashes[data_of[spec.key]]
        known = _known(spec, of_data, context)
        if known is not None:
            finished.append(spec)
            seconds += known.record.seconds
            spent += student + teacher
            continue
        name = _teacher_name(spec, splits, device)
        if name is not None and name not in stored and store.find(name) is not None:
            stored.add(name)
        jobs.append(Job(spec, student, name, teacher, of_data))
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


def _known(spec: RunSpec, data: Mapping[str, str], context: RunContext) -> store.Result | None:
    if context.again or context.retrain:
        return None
    try:
        return find_stored(spec, data, context.results)
    except ResultError:
        return None


def _teacher_name(spec: RunSpec, splits: Splits, device: torch.device) -> str | None:
    if not spec.phases or not is_shareable(spec, 0):
        return None
    return phase_key(_as_parts(spec, splits, device), 0)


def _as_parts(spec: RunSpec, splits: Splits, device: torch.device) -> Experiment:
    return Experiment(spec, splits, {}, {}, device, precision_on(device, spec.training.precision))
