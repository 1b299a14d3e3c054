"""Variational information distillation (arXiv 1904.05835)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.precision import wide_pair

_LEAST_VARIANCE = 1e-5


class VariationalInformation(MatchingLoss):
    """Negative log-likelihood of the teacher's encoding, summed over E, batch mean.

    A Gaussian whose mean is a small network of the student's encoding and whose variance is learned
    for each dimension: log sigma_e + (t_e - mu_e(s))^2 / (2 sigma_e^2) (arXiv 1904.05835, eq. 4
    to 6). The encoding is one row a video, so labels and frames play no part.

    Knobs:
        variance: where every sigma^2 begins, above 0.00001.
    """

    requirements = Requirements(
        frozenset({"summary"}), claims=frozenset({"batch-mean", "any-width"})
    )

    def __init__(self, context: LossContext, *, variance: float = 5.0) -> None:
        super().__init__(context)
        if not variance > _LEAST_VARIANCE:
            raise ConfigError([f"loss vid: variance={variance} is not above {_LEAST_VARIANCE}"])
        width = context.teacher.summary if context.teacher else context.student.summary
        self.mean = nn.Sequential(
            nn.Linear(context.student.summary, width), nn.ReLU(), nn.Linear(width, width)
        )
        # softplus of this is the variance to begin with
        begin = math.log(math.expm1(variance - _LEAST_VARIANCE))
        self.scale = nn.Parameter(torch.full((width,), begin))

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        mean, target = wide_pair(self.mean(output.encoding.summary), teacher.encoding.summary)
        variance = softplus(self.scale).to(mean.dtype) + _LEAST_VARIANCE
        likelihood = variance.log() / 2 + (target - mean).square() / (2 * variance)
        return likelihood.sum(1).mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `vid`."""
    return {"vid": VariationalInformation}
