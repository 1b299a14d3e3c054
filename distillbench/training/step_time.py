"""How long one training step takes in each precision: advice for who plans a run, never what decides a number."""

from __future__ import annotations

import copy
import time

import torch

from distillbench.data.batches import Reads, batches
from distillbench.networks import Precision
from distillbench.training.build import Experiment

_STEPS = 4


def seconds_a_step(experiment: Experiment) -> dict[Precision, float]:
    """Measures a forward and backward pass of the network that learns last, the fastest of a few, in each precision."""
    network = list(experiment.spec.phases[-1].learners)[-1]
    model, device = copy.deepcopy(experiment.models[network]), experiment.device
    videos = experiment.splits.train
    which = torch.arange(min(len(videos), experiment.spec.training.batch_size))
    views: dict[str, Reads] = {network: experiment.view(network, training=True)}
    clips = next(batches(videos, which, len(which), views)).clips[network].to(device)
    found: dict[Precision, float] = {}
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in precisions:
        model.precision = precision
        taken = []
        for _ in range(_STEPS):
            began = time.perf_counter()
            model(clips).logits.sum().backward()
            model.zero_grad(set_to_none=True)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            taken.append(time.perf_counter() - began)
        found[precision] = min(taken[1:])
    return found
