"""Adds an exit policy to the reported network after training, and tunes it."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench.data.batches import batches
from distillbench.errors import PluginError
from distillbench.interfaces import ExitPolicy
from distillbench.networks import evaluating
from distillbench.training.build import Experiment


def add_exit_policy(experiment: Experiment) -> ExitPolicy | None:
    """Adds the run's exit policy, untuned, to the reported network; None if the run has none."""
    choice = experiment.spec.exit_policy
    if choice is None:
        return None
    policy: ExitPolicy = choice.build()
    experiment.models[experiment.spec.reports].exit_policy = policy
    return policy


def tune_exit_policy(experiment: Experiment) -> None:
    """Adds the run's exit policy and tunes it on the validation videos.

    Raises `PluginError` if the policy fails.
    """
    policy = add_exit_policy(experiment)
    choice = experiment.spec.exit_policy
    if policy is None or choice is None:
        return
    logits, frames, labels = _logits_at_exits(experiment)
    with choice.component.guarded():
        policy.tune(logits, labels, frames)
        stops = policy.stop(logits[:1])
    # Checked here, where the plugin can be named, rather than in the middle of an evaluation.
    if stops.shape != (len(labels),) or stops.dtype != torch.bool:
        raise PluginError(
            f"{choice.component.title}: stop() returned {stops.dtype} {tuple(stops.shape)}; "
            "it must be (B,) bool"
        )


def _logits_at_exits(experiment: Experiment) -> tuple[list[Tensor], list[int], Tensor]:
    """Computes the logits of the validation videos at each exit.

    Returns the logits (V, C) by exit, the frames seen at each exit, and the labels (V, C).
    """
    network = experiment.spec.reports
    model = experiment.models[network]
    view = experiment.evaluation_views[network]
    videos = experiment.splits.validation
    batch_size = experiment.spec.training.batch_size
    every = torch.arange(len(videos))
    # The exits of the longest clip: a shorter one has all its frames by the exit that covers it.
    longest = int((view.index(videos, every, 0) >= 0).sum(1).max())
    exits = model.exits(longest)
    logits: list[list[Tensor]] = [[] for _ in exits]
    with evaluating(model), torch.no_grad():
        for batch in batches(videos, every, batch_size, {"": view}, device=experiment.device):
            clips = batch.clips[""].to(experiment.device)
            decoded = model.decoded(clips, model.select(clips))
            for number, frames in enumerate(exits):
                _, found = model.up_to(decoded, frames)
                logits[number].append(found.cpu())
    return [torch.cat(parts) for parts in logits], exits, videos.labels.dense(every)
