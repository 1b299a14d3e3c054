"""Queries of classes attend to chunks of the encoding (after arXiv 2111.12933)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, pad

from distillbench import hookimpl
from distillbench.interfaces import Head
from distillbench_plugins.layers.base_rates import begin_at
from distillbench_plugins.layers.knobs import not_a_share, refuse, wrong_counts


class LabelQuery(Head):
    """Queries of groups of classes attend to chunks of the encoding, each read out on its own.

    The encoding (B, E) is cut into chunks, which are the tokens: ML-Decoder (arXiv 2111.12933,
    section 3) attends to places of an image, of which a summary has none. As there, queries do not
    attend to one another, and each answers for C / queries classes by a matrix of its own (group
    decoding). Attention has one head, and no feed-forward layer or normalization follows it.
    Made for multi-label data; on single-label data it differs in nothing. It reads the encoding
    alone, so k frames and N are the same to it.

    Knobs:
        queries: how many there are; no more than classes are made, and then each has one class.
        chunks: how many tokens the encoding is cut into; zeros fill the last ones.
        size: width of queries, keys and values.
        dropout: the share of the encoding that is dropped before the head.
        base_rates: whether each class begins at its share of the training videos, by the bias.
    """

    check_knobs: ClassVar[Mapping[str, object]] = {"queries": 3, "chunks": 3, "size": 8}

    def __init__(
        self,
        width: int,
        classes: int,
        *,
        queries: int = 100,
        chunks: int = 16,
        size: int = 256,
        dropout: float = 0.5,
        base_rates: bool = False,
    ) -> None:
        super().__init__()
        problems = wrong_counts(
            "head label-query",
            queries=(queries, 1, 65_536),
            chunks=(chunks, 1, 65_536),
            size=(size, 1, 65_536),
        )
        refuse([*problems, *not_a_share("head label-query", dropout=dropout)])
        self.classes, self.dropout, self.chunks = classes, dropout, chunks
        self.base_rates = base_rates
        self.chunk_width = -(-width // chunks)
        queries = min(queries, classes)
        group = -(-classes // queries)
        self.places = nn.Parameter(torch.randn(chunks, self.chunk_width) / self.chunk_width**0.5)
        self.keys, self.values = (nn.Linear(self.chunk_width, size) for _ in range(2))
        self.queries = nn.Parameter(torch.randn(queries, size) / size**0.5)
        self.readouts = nn.Parameter(torch.randn(queries, group, size) / size**0.5)
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, summary: Tensor) -> Tensor:
        """Returns the logits (B, C)."""
        summary = dropout(summary, self.dropout, self.training)
        filled = pad(summary, (0, self.chunks * self.chunk_width - summary.shape[1]))
        tokens = filled.view(-1, self.chunks, self.chunk_width)
        keys = self.keys(tokens + self.places)
        scores = torch.einsum("qw,btw->bqt", self.queries, keys) / keys.shape[2] ** 0.5
        values = self.values(tokens)
        gathered = torch.einsum("bqt,btw->bqw", scores.softmax(2).to(values.dtype), values)
        logits = torch.einsum("bqw,qcw->bqc", gathered, self.readouts)
        # The last group may have fewer classes than the others.
        return logits.flatten(1)[:, : self.classes] + self.bias

    def start_from(self, rates: Tensor) -> None:
        """Sets the bias if `base_rates` asks for it."""
        if self.base_rates:
            begin_at(self.bias, rates)


@hookimpl
def heads() -> dict[str, type[Head]]:
    """Offers `label-query`."""
    return {"label-query": LabelQuery}
