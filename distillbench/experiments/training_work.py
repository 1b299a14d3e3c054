"""What training costs, counted before it is begun and after it has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from distillbench.config.run_spec import Choice, RunSpec, digest
from distillbench.config.schedule_rules import members_of, teacher_of
from distillbench.evaluation.cost import count_macs
from distillbench.interfaces import Phase, Splits, Videos, ViewSpec
from distillbench.networks import Model, probe
from distillbench.training.build import needs_states
from distillbench.training.teacher_store import is_shareable

TRAINING_PASSES = 3
"""A step costs a forward pass and twice as much again for the two products of its backward pass."""


class Works:
    """Counts multiply-accumulates of training, each distinct network once."""

    def __init__(self) -> None:
        self._macs: dict[str, float] = {}

    def planned(self, spec: RunSpec, splits: Splits) -> tuple[float, float]:
        """Returns the work of a run without, and of, the teacher that it could share."""
        works = [self.of_phase(spec, splits, phase, phase.epochs) for phase in spec.phases]
        shared = works[0] if works and is_shareable(spec, 0) else 0.0
        return sum(works) - shared, shared

    def spent(self, spec: RunSpec, splits: Splits, history: Sequence[Mapping[str, Any]]) -> float:
        """Returns the work of all epochs that a run was trained for, its teacher's too."""
        epochs = Counter(row["phase"] for row in history)
        return sum(self.of_phase(spec, splits, phase, epochs[phase.name]) for phase in spec.phases)

    def of_phase(self, spec: RunSpec, splits: Splits, phase: Phase, epochs: int) -> float:
        """Returns the work of so many epochs of a phase."""
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
                    passes[member, view] = epochs if again else min(1, epochs)
        work = sum(
            TRAINING_PASSES * epochs * videos * self._forward(spec, splits, *each)
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
