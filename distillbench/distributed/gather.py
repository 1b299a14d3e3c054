"""Outputs for a whole batch, of which each process computed a share."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from distillbench.distributed.processes import Processes, Share
from distillbench.interfaces import NO_FRAME, Encoding, Output, Selection, States


def gather_output(processes: Processes, own: Output, share: Share, with_states: bool) -> Output:
    """Gathers what every process made of its rows; differentiable as `Processes.gather` says. States only if asked for."""
    if processes.count == 1:
        return own
    e = own.encoding
    floats = [e.summary, own.logits, *e.exits, *own.exits]
    joined = processes.gather(torch.cat(floats, 1), share)
    summary, logits, *rest = torch.split(joined, [part.shape[1] for part in floats], 1)
    encodings, exits = rest[: len(e.exits)], rest[len(e.exits) :]
    states = {n: _states(processes, s, share) for n, s in e.states.items()} if with_states else {}
    return replace(
        own,
        encoding=Encoding(summary, states, tuple(encodings)),
        logits=logits,
        exits=tuple(exits),
        used=None if own.used is None else processes.gather(own.used, share),
        selection=None if own.selection is None else _selection(processes, own.selection, share),
    )


def _states(processes: Processes, own: States, share: Share) -> States:
    values = _padded(processes, own.values, 0.0)
    times = _padded(processes, own.times, NO_FRAME)
    return States(processes.gather(values, share), processes.gather(times, share))


def _selection(processes: Processes, own: Selection, share: Share) -> Selection:
    index = processes.gather(_padded(processes, own.index, NO_FRAME), share)
    weights = own.weights
    return Selection(
        index,
        None if weights is None else processes.gather(_padded(processes, weights, 0.0), share),
        None if own.log_prob is None else processes.gather(own.log_prob[:, None], share)[:, 0],
    )


def _padded(processes: Processes, own: Tensor, value: float) -> Tensor:
    """Pads the second dimension to the most that some process has."""
    more = processes.largest(own.shape[1]) - own.shape[1]
    return pad(own, (*(0, 0) * (own.dim() - 2), 0, more), value=value)
