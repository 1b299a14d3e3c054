"""Gathers the outputs for a whole batch from the shares that the processes computed."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from distillbench.distributed.processes import Processes, Share
from distillbench.interfaces import NO_FRAME, Encoding, Output, Selection, States


def gather_output(processes: Processes, own: Output, share: Share, with_states: bool) -> Output:
    """Gathers the output for a whole batch; differentiable in the sense of `Processes.gather`.

    own: the output for this process's rows.
    with_states: whether states are gathered too; without them the result has none.
    """
    if processes.count == 1:
        return own
    encoding = own.encoding
    # One message for all of them: each has its own latency.
    parts = [encoding.summary, own.logits, *encoding.exits, *own.exits]
    gathered = processes.gather(torch.cat(parts, 1), share)
    widths = [part.shape[1] for part in parts]
    summary, logits, *exits = torch.split(gathered, widths, 1)
    exit_count = len(encoding.exits)
    exit_summaries = tuple(exits[:exit_count])
    exit_logits = tuple(exits[exit_count:])
    states = {}
    if with_states:
        for layer, found in encoding.states.items():
            states[layer] = _gather_states(processes, found, share)
    used = None if own.used is None else processes.gather(own.used, share)
    selection = own.selection
    if selection is not None:
        selection = _gather_selection(processes, selection, share)
    frame_logits = own.frame_logits
    if frame_logits is not None:
        frame_logits = _gather_states(processes, frame_logits, share)
    baseline = None if own.baseline is None else processes.gather(own.baseline, share)
    return replace(
        own,
        encoding=Encoding(summary, states, exit_summaries),
        logits=logits,
        exits=exit_logits,
        used=used,
        selection=selection,
        baseline=baseline,
        frame_logits=frame_logits,
    )


def _gather_states(processes: Processes, own: States, share: Share) -> States:
    values = _padded(processes, own.values, 0.0)
    times = _padded(processes, own.times, NO_FRAME)
    return States(processes.gather(values, share), processes.gather(times, share))


def _gather_selection(processes: Processes, own: Selection, share: Share) -> Selection:
    index = processes.gather(_padded(processes, own.index, NO_FRAME), share)
    weights = own.weights
    if weights is not None:
        weights = processes.gather(_padded(processes, weights, 0.0), share)
    log_prob = own.log_prob
    if log_prob is not None:
        # As a column: `gather` sends rows with at least one dimension of their own.
        log_prob = processes.gather(log_prob[:, None], share)[:, 0]
    scores = own.scores
    if scores is not None:
        scores = processes.gather(_padded(processes, scores, 0.0), share)
    baseline, times = (
        None if part is None else processes.gather(_padded(processes, part, NO_FRAME), share)
        for part in (own.baseline, own.times)
    )
    return Selection(index, weights, log_prob, scores, baseline, times)


def _padded(processes: Processes, own: Tensor, value: float) -> Tensor:
    """Pads the second dimension to the size of the largest one of all processes."""
    missing = processes.largest(own.shape[1]) - own.shape[1]
    # `pad` takes pairs from the last dimension to the first: none for those after the second.
    later_dimensions = (0, 0) * (own.dim() - 2)
    return pad(own, (*later_dimensions, 0, missing), value=value)
