"""An LSTM whose shapes depend on those of its inputs alone, so that it can be exported."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from distillbench_plugins.layers.states import States


class LastStateLSTM(nn.Module):
    """Computes what an `LSTM` computes in evaluation, and returns the last states alone.

    Sequences are padded to one length. It holds a copy of the weights, of each layer weight_ih
    (4H, D), weight_hh (4H, H) and bias (4H,) with the gates i, f, g, o. An exporter may put an
    operator of its format in its place.
    """

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor, Tensor]]) -> None:
        super().__init__()
        self.layers = len(layers)
        self.size = layers[0][1].shape[1]
        for number, weights in enumerate(layers):
            for name, weight in zip(_NAMES, weights, strict=True):
                copied = nn.Parameter(weight.detach().clone(), requires_grad=False)
                self.register_parameter(f"{name}_l{number}", copied)

    def weights(self, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Returns a layer's weight_ih, weight_hh and bias."""
        weight_ih, weight_hh, bias = (self.get_parameter(f"{name}_l{layer}") for name in _NAMES)
        return weight_ih, weight_hh, bias

    def forward(self, inputs: Tensor, lengths: Tensor) -> list[States]:
        """Runs Q sequences (Q, T, D) through every layer.

        lengths: (Q,), at least 1. Returns each layer's states (Q, H) after each sequence's last
        step; steps beyond it change nothing.
        """
        found = []
        for layer in range(self.layers):
            inputs, last = _layer(inputs, lengths, *self.weights(layer))
            found.append(last)
        return found


_NAMES = ("weight_ih", "weight_hh", "bias")


def _layer(
    inputs: Tensor, lengths: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor
) -> tuple[Tensor, States]:
    """Returns the hidden states after every step, (Q, T, H), and both states after the last."""
    gates = linear(inputs, weight_ih, bias)
    hidden = cell = gates.new_zeros(gates.shape[0], weight_hh.shape[1])
    hiddens = []
    for step in range(gates.shape[1]):
        i, f, g, o = (gates[:, step] + linear(hidden, weight_hh)).chunk(4, 1)
        is_real = (step < lengths)[:, None]
        cell = torch.where(is_real, f.sigmoid() * cell + i.sigmoid() * g.tanh(), cell)
        hidden = torch.where(is_real, o.sigmoid() * cell.tanh(), hidden)
        hiddens.append(hidden)
    return torch.stack(hiddens, 1), States(cell, hidden)
