"""Gives the reported network its exit policy, once it is trained."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench.data.batches import batches
from distillbench.errors import PluginError
from distillbench.interfaces import ExitPolicy
from distillbench.networks import evaluating
from distillbench.training.build import Experiment


def add_exit_policy(experiment: Experiment) -> ExitPolicy | None:
    """Makes the policy a part of the reported network, with the state that it is made with; None for none."""
    choice = experiment.spec.exit_policy
    if choice is None:
        return None
    policy: ExitPolicy = choice.build()
    experiment.models[experiment.spec.reports].exit_policy = policy
    return policy


def tune_exit_policy(experiment: Experiment) -> None:
    """Adds the policy and tunes it on the validation videos.

    Raises `PluginError` where the policy fails.
    """
    policy = add_exit_policy(experiment)
    if policy is None:
        return
    logits, frames, labels = _at_every_exit(experiment)
    assert experiment.spec.exit_policy is not None
    with experiment.spec.exit_policy.component.guarded():
        policy.tune(logits, labels, frames)
        stops = policy.stop(logits[:1])
    if stops.shape != (len(labels),) or stops.dtype != torch.bool:
        title = experiment.spec.exit_policy.component.title
        raise PluginError(
            f"{title} stops with {stops.dtype} {tuple(stops.shape)}; it must be (B,) bool"
        )


def _at_every_exit(experiment: Experiment) -> tuple[list[Tensor], list[int], Tensor]:
    """Returns the logits (V, C) of the validation videos at each exit, the exits, and the labels (V, C)."""
    network, videos = experiment.spec.reports, experiment.splits.validation
    model, view = experiment.models[network], experiment.evaluation_views[network]
    size, every = experiment.spec.training.batch_size, torch.arange(len(videos))
    longest = int((view.index(videos, every, 0) >= 0).sum(1).max())
    stops = model.exits(longest)
    found: list[list[Tensor]] = [[] for _ in stops]
    with evaluating(model), torch.no_grad():
        for batch in batches(videos, every, size, {"": view}, device=experiment.device):
            clips = batch.clips[""].to(experiment.device)
            decoded = model.decoded(clips, model.select(clips))
            for number, frames in enumerate(stops):
                found[number].append(model.up_to(decoded, frames)[1].cpu())
    return [torch.cat(logits) for logits in found], stops, videos.labels.dense(every)
