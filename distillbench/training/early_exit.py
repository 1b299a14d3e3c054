"""Gives the reported network its exit policy, once it is trained."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench.data.batches import batches
from distillbench.errors import PluginError
from distillbench.interfaces import ExitPolicy
from distillbench.networks import evaluating
from distillbench.training.assemble import Parts


def add_exit_policy(parts: Parts) -> ExitPolicy | None:
    """Makes the policy a part of the reported network, with the state that it is made with; None for none."""
    choice = parts.setup.exit_policy
    if choice is None:
        return None
    policy: ExitPolicy = choice.build()
    parts.models[parts.setup.reports].exit_policy = policy
    return policy


def tune_exit_policy(parts: Parts) -> None:
    """Adds the policy and tunes it on the validation videos.

    Raises `PluginError` where the policy fails.
    """
    policy = add_exit_policy(parts)
    if policy is None:
        return
    logits, frames, labels = _at_every_exit(parts)
    assert parts.setup.exit_policy is not None
    with parts.setup.exit_policy.component.answering():
        policy.tune(logits, labels, frames)
        stops = policy.stop(logits[:1])
    if stops.shape != (len(labels),) or stops.dtype != torch.bool:
        title = parts.setup.exit_policy.component.title
        raise PluginError(f"{title} stops with {stops.dtype} {tuple(stops.shape)}; it must be (B,) bool")


def _at_every_exit(parts: Parts) -> tuple[list[Tensor], list[int], Tensor]:
    """Returns the logits (V, C) of the validation videos at each exit, the exits, and the labels (V, C)."""
    network, videos = parts.setup.reports, parts.splits.validation
    model, view = parts.models[network], parts.evaluation_views[network]
    size, every = parts.setup.training.batch_size, torch.arange(len(videos))
    longest = int((view.index(videos, every, 0) >= 0).sum(1).max())
    stops = model.exits(longest)
    found: list[list[Tensor]] = [[] for _ in stops]
    with evaluating(model), torch.no_grad():
        for batch in batches(videos, every, size, {"": view}, device=parts.device):
            clips = batch.clips[""].to(parts.device)
            decoded = model.decoded(clips, model.select(clips))
            for number, frames in enumerate(stops):
                found[number].append(model.up_to(decoded, frames)[1].cpu())
    return [torch.cat(logits) for logits in found], stops, videos.labels.dense(every)
