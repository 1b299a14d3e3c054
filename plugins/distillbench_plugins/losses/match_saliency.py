"""A selector's scores, taught what the teacher finds salient."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import LossBatch, LossContext, MatchingLoss, Output, Requirements
from distillbench_plugins.layers.frame_evidence import Form, agreement, candidates_of
from distillbench_plugins.layers.knobs import require_positive


class MatchSaliency(MatchingLoss):
    """KL divergence of a selector's attention over frames from the teacher's saliency, batch mean.

    Frames compete by the top-one probabilities of ListNet (Cao et al. 2007, ICML, definition 3):
    softmax(a / T) of the teacher and softmax(s) of the selector's scores. A frame's a is the mean
    of the class probabilities that the teacher gives that frame alone, weighted by those that it
    gives the whole video; so it needs neither labels nor gradients, and one label or several.
    Scores are (B, M) of the M frames that the selector reads of N, of which the teacher must see
    some.

    Knobs:
        temperature: T, above 0; a is within [0, 1].
        form: `sigmoid` takes each class on its own, `softmax` one class among all.
    """

    requirements = Requirements(
        frozenset({"logits", "selection", "frame-logits"}),
        claims=frozenset({"batch-mean", "any-width"}),
    )

    def __init__(
        self, context: LossContext, *, temperature: float = 0.1, form: Form = "sigmoid"
    ) -> None:
        super().__init__(context)
        require_positive("loss match-saliency", temperature=temperature)
        self.temperature = temperature
        self.form: Form = form

    def forward(self, output: Output, teacher: Output, batch: LossBatch) -> Tensor:
        """Returns one scalar in float32 or better."""
        scores, logits, both = candidates_of(output, teacher, "match-saliency")
        video = teacher.logits.detach().to(logits)
        salient = agreement(logits, video, self.form) / self.temperature
        # Finite, so that a video of which the teacher saw none of the candidates counts 0.
        least = torch.finfo(scores.dtype).min / 4
        target = salient.masked_fill(~both, least).log_softmax(1)
        ours = scores.masked_fill(~both, least).log_softmax(1)
        return ((target.exp() * (target - ours)) * both).sum(1).mean()


@hookimpl
def matching_losses() -> dict[str, type[MatchingLoss]]:
    """Offers `match-saliency`."""
    return {"match-saliency": MatchSaliency}
