"""What a phase minimises: each learner's losses, and whose outcome they compare it with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from distillbench.data.batches import Batch, Reads
from distillbench.interfaces import Encoding, Network, Outcome, Phase
from distillbench.training.assemble import Parts, needs_states
from distillbench.training.observer import SILENT, Observer
from distillbench.training.signal_store import SignalStore
from distillbench.training.signals import Signals, ask


class Objective:
    """The losses of one phase of a run.

    views: what must be read of each network's frames: learners see their training view, a guide what it sees in
    evaluation; nothing for a guide that is shown a learner's frames, or of videos it was asked about beforehand.
    """

    views: Mapping[str, Reads]

    def __init__(self, parts: Parts, phase: Phase, store: SignalStore, observer: Observer = SILENT) -> None:
        """Asks every guide that stands still once, unless a loss reads states, which are too large to keep."""
        self._parts, self._phase = parts, phase
        self._signals: dict[Network, Signals] = {}
        views: dict[str, Reads] = {network: parts.training_views[network] for network in phase.objectives}
        for guide in self._standing_guides() if phase.targets != "same-frames" and phase.epochs else ():
            view: Reads | None = parts.evaluation_views[guide]
            if not needs_states(parts.setup, phase):
                self._signals[guide] = ask(parts, guide, store, observer)
                view = self._signals[guide].view
            if view is not None:
                views[guide] = view
        self.views = views

    def __call__(self, batch: Batch, sums: dict[str, Tensor]) -> Tensor:
        """Computes the sum of all learners' losses on a batch, a scalar, and adds each term to the running sums."""
        device = self._parts.device
        labels = batch.labels.to(device, non_blocking=True)
        outcomes = {n: self._parts.models[n](batch.clips[n].to(device)) for n in self._phase.objectives}
        total = torch.zeros((), device=device)
        for learner, objective in self._phase.objectives.items():
            guide = self._guide_outcome(learner, batch, outcomes)
            for name, weight in objective.items():
                term = self._parts.losses[learner][name](outcomes[learner], guide, labels)
                total = total + weight * term
                where = f"{learner}/{name}"
                sums[where] = sums.get(where, 0.0) + term.detach().double() * len(batch.videos)
        return total

    def _guide_outcome(self, learner: Network, batch: Batch, outcomes: Mapping[Network, Outcome]) -> Outcome | None:
        phase, device = self._phase, self._parts.device
        if not self._parts.setup.is_guided(phase, learner, phase.objectives[learner]):
            return None
        guide, same_frames = phase.guides[learner], phase.targets == "same-frames"
        if guide in outcomes:
            outcome = outcomes[guide]
        elif guide in self._signals:
            outcome = self._signals[guide].outcome(batch.videos, batch.clips.get(guide), device)
        else:
            with torch.no_grad():
                outcome = self._parts.models[guide](batch.clips[learner if same_frames else guide].to(device))
        outcome = _detached(outcome)
        return _rolled(outcome) if phase.targets == "shuffled" else outcome

    def _standing_guides(self) -> list[Network]:
        phase, setup = self._phase, self._parts.setup
        found = [phase.guides[n] for n, terms in phase.objectives.items() if setup.is_guided(phase, n, terms)]
        return [guide for guide in dict.fromkeys(found) if guide not in phase.objectives]


def _detached(outcome: Outcome) -> Outcome:
    encoding = outcome.encoding
    states = None if encoding.states is None else encoding.states.detach()
    return Outcome(Encoding(encoding.summary.detach(), states, encoding.times), outcome.logits.detach())


def _rolled(outcome: Outcome) -> Outcome:
    """Gives every video the outcome of its neighbour in the (shuffled) batch."""
    e = outcome.encoding
    states = None if e.states is None else e.states.roll(1, 0)
    times = None if e.times is None else e.times.roll(1, 0)
    return Outcome(Encoding(e.summary.roll(1, 0), states, times), outcome.logits.roll(1, 0))
