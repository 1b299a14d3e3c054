"""Measures how long a training step takes in each precision; no result depends on it."""

from __future__ import annotations

import copy
import time

import torch

from distillbench.data.batches import Reads, batches
from distillbench.networks import Precision
from distillbench.training.build import Experiment

_STEPS = 4


def seconds_a_step(experiment: Experiment) -> dict[Precision, float]:
    """Measures a forward and backward pass of the network that learns last.

    Returns the seconds of the fastest of a few passes, by precision.
    """
    network = list(experiment.spec.phases[-1].learners)[-1]
    model = copy.deepcopy(experiment.models[network])
    device = experiment.device
    videos = experiment.splits.train
    batch_size = min(len(videos), experiment.spec.training.batch_size)
    which = torch.arange(batch_size)
    views: dict[str, Reads] = {network: experiment.view(network, training=True)}
    batch = next(batches(videos, which, batch_size, views))
    clips = batch.clips[network].to(device)
    fastest: dict[Precision, float] = {}
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in precisions:
        model.precision = precision
        seconds = []
        for _ in range(_STEPS):
            started = time.perf_counter()
            model(clips).logits.sum().backward()
            model.zero_grad(set_to_none=True)
            if device.type == "cuda":
                torch.cuda.synchronize(device)  # a launched kernel has not run yet
            seconds.append(time.perf_counter() - started)
        fastest[precision] = min(seconds[1:])  # the first one also pays for set-up
    return fastest
