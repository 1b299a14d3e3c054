"""A mixture of experts whose classes gate one another (arXiv 1706.06905)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, logsigmoid

from distillbench import hookimpl
from distillbench.interfaces import Head
from distillbench_plugins.layers.base_rates import begin_mixture_at
from distillbench_plugins.layers.gating import ContextGating
from distillbench_plugins.layers.knobs import not_a_share, refuse, wrong_counts
from distillbench_plugins.layers.mixture import mixture_logits
from distillbench_plugins.layers.precision import wide

_OPEN = 2.0
"""The bias of the classes' gates at the start, which leaves 0.88 of a probability."""


class ContextGatingHead(Head):
    """Gates the encoding, then the classes' probabilities of a mixture of experts.

    y = sigmoid(W p + b) * p (arXiv 1706.06905, eq. 1), with p of the mixture that `moe` computes,
    so that W, (C, C), learns which classes exclude one another. The published code normalizes
    batches within the gates; the paper's equation does not, and neither does this. The classes'
    gates begin nearly open (b = 2): half open, p would have to be twice a class's share of the
    videos, and where that is near 1 the mixture says yes to everything and learns no more.
    Summary (B, E), logits (B, C). Meant for multi-label data: on single-label data every class is
    still gated as one of many. It reads the encoding alone, so k frames and N are the same to it.

    Knobs:
        mixtures: experts of each class, the dummy not counted.
        gate_encoding: whether the encoding is gated too; an encoder may end in such a gate already.
        dropout: the share of the encoding that is dropped before the head.
        base_rates: whether each class begins at its share of the training videos, by the bias.
    """

    def __init__(
        self,
        width: int,
        classes: int,
        *,
        mixtures: int = 2,
        gate_encoding: bool = True,
        dropout: float = 0.5,
        base_rates: bool = False,
    ) -> None:
        super().__init__()
        problems = wrong_counts("head context-gating", mixtures=(mixtures, 1, 4096))
        refuse([*problems, *not_a_share("head context-gating", dropout=dropout)])
        self.classes, self.dropout, self.base_rates = classes, dropout, base_rates
        self.gate = ContextGating(width) if gate_encoding else nn.Identity()
        self.gates = nn.Linear(width, classes * (mixtures + 1), bias=False)
        self.experts = nn.Linear(width, classes * mixtures)
        self.class_gates = nn.Linear(classes, classes)
        nn.init.constant_(self.class_gates.bias, _OPEN)

    def forward(self, summary: Tensor) -> Tensor:
        """Returns log y - log(1 - y), in float32 or better, without computing y or 1 - y."""
        gated = self.gate(dropout(summary, self.dropout, self.training))
        logits = mixture_logits(self.gates(gated), self.experts(gated), self.classes)
        gates = wide(self.class_gates(logits.sigmoid()))
        yes = logsigmoid(logits) + logsigmoid(gates)
        # 1 - y is the chance that the mixture says no, or that it says yes and the gate is shut.
        no = torch.logaddexp(logsigmoid(-logits), logsigmoid(logits) + logsigmoid(-gates))
        return yes - no

    def start_from(self, rates: Tensor) -> None:
        """Sets the experts' bias if `base_rates` asks for it, as if no class gated another."""
        if self.base_rates:
            begin_mixture_at(self.experts.bias, rates / torch.tensor(_OPEN).sigmoid())


@hookimpl
def heads() -> dict[str, type[Head]]:
    """Offers `context-gating`."""
    return {"context-gating": ContextGatingHead}
