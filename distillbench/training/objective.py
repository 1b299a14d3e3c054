"""What a phase minimises: each learner's losses, and whose outcome they compare it with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from distillbench.data.batches import Batch, Reads
from distillbench.interfaces import Encoding, Network, Outcome, Phase
from distillbench.training.assemble import Parts, needs_states
from distillbench.training.dropout import shared_dropout
from distillbench.training.observer import SILENT, Observer
from distillbench.training.signal_store import SignalStore
from distillbench.training.signals import Signals, ask
from distillbench.training.whole import whole_outcome


class Objective:
    """The losses of one phase of a run.

    Several processes encode a share of each batch and gather the outcomes, so that every loss sees the whole batch,
    whatever it makes of it: a mean, a sum, a comparison of its videos. States alone are too large to send: a loss that
    reads them and claims to be a batch mean is computed of each share, and the means are averaged.

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
        names = {name for terms in phase.objectives.values() for name in terms}
        self._apart = {name for name in names if self._is_apart(name)}
        self._sends_states = any("states" in parts.setup.passport(name).needs for name in names - self._apart)

    def _is_apart(self, name: str) -> bool:
        """Tells whether a loss is computed of each process's share."""
        passport = self._parts.setup.passport(name)
        is_mean = "batch-mean" in passport.claims and "batch" not in passport.needs
        return (
            self._parts.processes.count > 1
            and is_mean
            and "states" in passport.needs
            and self._phase.targets != "shuffled"
        )

    def __call__(self, batch: Batch, sums: dict[str, Tensor]) -> Tensor:
        """Computes the sum of all learners' losses on a batch, a scalar, and adds each term to the running sums.

        Returns this process's part of the loss; the parts add up to the loss, and so do their gradients.
        """
        device, processes, share = self._parts.device, self._parts.processes, batch.share
        labels = batch.labels.to(device, non_blocking=True)
        with shared_dropout(processes, share):
            own = {n: self._parts.models[n](batch.clips[n].to(device)) for n in self._phase.objectives}
        outcomes = {n: self._whole(outcome, batch) for n, outcome in own.items()}
        total = torch.zeros((), device=device)
        for learner, objective in self._phase.objectives.items():
            guide, own_guide = self._guide_outcomes(learner, batch, own, outcomes)
            for name, weight in objective.items():
                loss = self._parts.losses[learner][name]
                if name in self._apart:
                    mean = loss(own[learner], own_guide, labels[share.computed])
                    term = processes.sum(mean * (share.size / share.whole))
                else:
                    term = loss(outcomes[learner], guide, labels)
                total = total + weight * term
                where = f"{learner}/{name}"
                sums[where] = sums.get(where, 0.0) + term.detach().double() * len(batch.videos)
        return total / processes.count

    def _whole(self, outcome: Outcome, batch: Batch) -> Outcome:
        return whole_outcome(self._parts.processes, outcome, batch.share, self._sends_states)

    def _guide_outcomes(
        self, learner: Network, batch: Batch, own: Mapping[Network, Outcome], outcomes: Mapping[Network, Outcome]
    ) -> tuple[Outcome | None, Outcome | None]:
        """Returns what a learner is compared with: for the whole batch, and for this process's rows of it."""
        phase, device = self._phase, self._parts.device
        if not self._parts.setup.is_guided(phase, learner, phase.objectives[learner]):
            return None, None
        guide, same_frames = phase.guides[learner], phase.targets == "same-frames"
        if guide in outcomes:
            return self._aimed(outcomes[guide]), _detached(own[guide])
        if guide in self._signals:
            rows = batch.videos[batch.share.computed]
            found = self._signals[guide].outcome(rows, batch.clips.get(guide), device)
        else:
            with torch.no_grad():
                found = self._parts.models[guide](batch.clips[learner if same_frames else guide].to(device))
        return self._aimed(self._whole(found, batch)), _detached(found)

    def _aimed(self, outcome: Outcome) -> Outcome:
        outcome = _detached(outcome)
        return _rolled(outcome) if self._phase.targets == "shuffled" else outcome

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
