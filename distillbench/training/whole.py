"""Outcomes of a whole batch, of which each process computed a share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from distillbench.interfaces import NO_FRAME, Encoding, Outcome
from distillbench.processes import Processes, Share


def whole_outcome(processes: Processes, own: Outcome, share: Share, with_states: bool) -> Outcome:
    """Gathers what every process made of its rows; differentiable as `Processes.gather` says. States only if asked for."""
    if processes.count == 1:
        return own
    width = own.encoding.summary.shape[1]
    both = processes.gather(torch.cat([own.encoding.summary, own.logits], 1), share)
    states, times = _states(processes, own.encoding, share) if with_states else (None, None)
    return Outcome(Encoding(both[:, :width], states, times), both[:, width:])


def _states(processes: Processes, own: Encoding, share: Share) -> tuple[Tensor | None, Tensor | None]:
    if own.states is None or own.times is None:
        return None, None
    more = processes.largest(own.states.shape[1]) - own.states.shape[1]
    states, times = pad(own.states, (0, 0, 0, more)), pad(own.times, (0, more), value=NO_FRAME)
    return processes.gather(states, share), processes.gather(times, share)
