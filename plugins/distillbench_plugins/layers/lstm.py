"""An LSTM over packed sequences that keeps every state, in as few kernels as plain torch allows.

Sequences are packed time-major, longest first, as in `torch.nn.utils.rnn`: step 0 of all of them,
then step 1 of those that are long enough, and so on; `sizes[t]` is how many reach step t. Nothing
is computed for padding, because there is none, and every step is a contiguous slice.

Why not `nn.LSTM`: it gives the hidden state after every step but the cell state only after the
last, and this model passes both upwards. Done here: one matrix product for all input projections of
a layer, no recurrent product from the zero state, and a backward pass that only turns gate
gradients over in time and leaves the weights' gradients to one product each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from distillbench_plugins.layers.linear_lstm import LinearLSTM
from distillbench_plugins.layers.packing import moved
from distillbench_plugins.layers.states import States

Init = Literal["glorot", "default"]


class LSTM(nn.Module):
    """LSTM layers that start from zero and return both states after every step.

    Equal to `nn.LSTM` to rounding. Weights are named and laid out as there (gates i, f, g, o), but
    the two biases, whose sum is all that matters, are one. Under autocast products are done in the
    lower precision and cell states kept in float32.
    """

    def __init__(
        self,
        input_size: int,
        cell_size: int,
        layers: int,
        *,
        init: Init = "glorot",
        dropout: float = 0.0,
    ) -> None:
        """dropout: applied between layers.

        init: see `reset_parameters`.
        """
        super().__init__()
        self.input_size, self.cell_size, self.layers, self.dropout = (
            input_size,
            cell_size,
            layers,
            dropout,
        )
        for layer in range(layers):
            below = input_size if layer == 0 else cell_size
            self.register_parameter(
                f"weight_ih_l{layer}", nn.Parameter(torch.empty(4 * cell_size, below))
            )
            self.register_parameter(
                f"weight_hh_l{layer}", nn.Parameter(torch.empty(4 * cell_size, cell_size))
            )
            self.register_parameter(f"bias_l{layer}", nn.Parameter(torch.empty(4 * cell_size)))
        self.reset_parameters(init)

    def weights(self, layer: int) -> tuple[nn.Parameter, nn.Parameter, nn.Parameter]:
        """Returns a layer's weight_ih (4H, D), weight_hh (4H, H) and bias (4H,)."""
        names = f"weight_ih_l{layer}", f"weight_hh_l{layer}", f"bias_l{layer}"
        return (
            self.get_parameter(names[0]),
            self.get_parameter(names[1]),
            self.get_parameter(names[2]),
        )

    @property
    def dtype(self) -> torch.dtype:
        """The weights' type."""
        return self.weights(0)[0].dtype

    def with_linears(self) -> LinearLSTM:
        """Returns an equal stack, for inference, that can be quantized."""
        return LinearLSTM([self.weights(layer) for layer in range(self.layers)])

    @torch.no_grad()
    def reset_parameters(self, init: Init) -> None:
        """Initializes the weights again.

        glorot: Glorot-uniform over the joint kernel of input and state, as TensorFlow's cell holds
        it, zero bias, forget bias 1. default: `nn.LSTM`'s, uniform within 1 / sqrt(H), each bias
        the sum of two.
        """
        for layer in range(self.layers):
            weight_ih, weight_hh, bias = self.weights(layer)
            size = self.cell_size
            if init == "glorot":
                bound = math.sqrt(6.0 / (weight_ih.shape[1] + size + 4 * size))
                bias.zero_()[size : 2 * size] = 1.0
            else:
                bound = 1.0 / math.sqrt(size)
                bias.uniform_(-bound, bound).add_(torch.empty_like(bias).uniform_(-bound, bound))
            weight_ih.uniform_(-bound, bound)
            weight_hh.uniform_(-bound, bound)

    def forward(self, packed: Tensor, sizes: Sequence[int]) -> list[States]:
        """Runs packed inputs (P, D) through every layer.

        P is the sum of sizes, which never increase.
        """
        states: list[States] = []
        below = packed
        for layer in range(self.layers):
            if layer and self.dropout:
                below = nn.functional.dropout(below, self.dropout, self.training)
            weights = [_cast(tensor) for tensor in (below, *self.weights(layer))]
            hidden, cell = _Layer.apply(*weights, tuple(sizes))  # type: ignore[no-untyped-call]
            states.append(States(cell, hidden))
            below = hidden
        return states


def _cast(tensor: Tensor) -> Tensor:
    """Casts to autocast's type where autocast is on, differentiably.

    Float64 stays, as autocast has it.
    """
    device = tensor.device.type
    if (
        tensor.dtype == torch.float64
        or not torch.amp.is_autocast_available(device)
        or not torch.is_autocast_enabled(device)
    ):
        return tensor
    return tensor.to(torch.get_autocast_dtype(device))


def _state_dtype(dtype: torch.dtype) -> torch.dtype:
    """Cell states add up over time: never in fewer than 32 bits."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


class _Layer(torch.autograd.Function):
    """One layer over all steps: (x, weight_ih, weight_hh, bias, sizes) -> (h, c), both (P, H)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias: Tensor,
        sizes: tuple[int, ...],
    ) -> tuple[Tensor, Tensor]:
        gates = torch.addmm(bias, x, weight_ih.t())
        hidden = x.new_empty(len(x), weight_hh.shape[1])
        cell = hidden.new_empty(hidden.shape, dtype=_state_dtype(x.dtype))
        _run(gates, hidden, cell, weight_hh.t(), sizes)
        ctx.save_for_backward(x, weight_ih, weight_hh, gates, hidden, cell)
        ctx.sizes = sizes
        ctx.set_materialize_grads(False)
        return hidden, cell

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_hidden: Tensor | None, grad_cell: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        x, weight_ih, weight_hh, gates, hidden, cell = ctx.saved_tensors
        sizes: tuple[int, ...] = ctx.sizes
        grad_gates = _run_back(grad_hidden, grad_cell, gates, cell, weight_hh, sizes)
        first = sizes[0]
        grad_x = grad_gates.mm(weight_ih) if ctx.needs_input_grad[0] else None
        if not any(ctx.needs_input_grad[1:4]):
            return grad_x, None, None, None, None
        grad_weight_hh = grad_gates[first:].t().mm(_previous(hidden, sizes))
        return grad_x, grad_gates.t().mm(x), grad_weight_hh, grad_gates.sum(0), None


def _run(gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, sizes: Sequence[int]) -> None:
    """Runs the steps: turns input projections into gate activations, and fills the states."""
    size = hidden.shape[1]
    parts = [
        _by_step(part, sizes)
        for part in (gates, gates[:, : 2 * size], *gates.chunk(4, 1), hidden, cell)
    ]
    h = c = None
    for all_gates, inputs_and_forgets, i, f, g, o, next_h, next_c in zip(*parts, strict=True):
        if h is not None:
            torch.addmm(all_gates, h[: len(i)], weight, out=all_gates)
        elif gates.is_meta:
            # Only counted: the cost is that of the standard form, which has a recurrent product at
            # every step.
            torch.addmm(all_gates, next_h, weight, out=all_gates)
        inputs_and_forgets.sigmoid_()
        g.tanh_()
        o.sigmoid_()
        torch.mul(i, g, out=next_c)
        if c is not None:
            next_c.addcmul_(f, c[: len(i)])
        torch.tanh(next_c, out=next_h)
        next_h.mul_(o)
        h, c = next_h, next_c


def _run_back(
    grad_hidden: Tensor | None,
    grad_cell: Tensor | None,
    gates: Tensor,
    cell: Tensor,
    weight: Tensor,
    sizes: Sequence[int],
) -> Tensor:
    """Walks the steps backwards.

    Returns the gradient (P, 4H) of the sums that the gates' activations were applied to.

    Everything that does not depend on time is multiplied out beforehand, for all steps at once
    (`_slopes`), so that a step is one product and four element-wise kernels.
    """
    size, steps = cell.shape[1], len(sizes)
    slopes, through = _slopes(gates, cell, sizes)
    by_gate, by_cell, by_hidden, forgets, reach = (
        _by_step(part, sizes)
        for part in (
            slopes,
            slopes[:, : 3 * size],
            slopes[:, 3 * size :],
            gates[:, size : 2 * size],
            through,
        )
    )
    from_hidden = [None] * steps if grad_hidden is None else _by_step(grad_hidden, sizes)
    from_cell = [None] * steps if grad_cell is None else _by_step(grad_cell, sizes)
    carried, arriving = cell.new_zeros(sizes[0], size), gates.new_zeros(sizes[0], size)
    later = slopes[:0]
    for step in reversed(range(steps)):
        dc, dh = carried[: sizes[step]], arriving[: sizes[step]]
        if (given := from_hidden[step]) is not None:
            dh.copy_(given)
            dh[: len(later)].addmm_(later, weight)
        elif len(later):
            torch.mm(later, weight, out=dh[: len(later)])
        if (given := from_cell[step]) is not None:
            dc.add_(given)
        dc.addcmul_(dh, reach[step])
        by_cell[step].view(-1, 3, size).mul_(dc[:, None])
        by_hidden[step].mul_(dh)
        dc.mul_(forgets[step])
        later = by_gate[step]
    return slopes


def _slopes(gates: Tensor, cell: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Returns what gradients are multiplied by: (P, 4H), dc for the gates i, f, g and dh for o.

    (P, H), dh for dc.
    """
    slopes, out = torch.empty_like(gates), torch.tanh(cell).to(gates.dtype)
    (i, f, g, o), (by_i, by_f, by_g, by_o) = gates.chunk(4, 1), slopes.chunk(4, 1)
    first = sizes[0]
    torch.ops.aten.sigmoid_backward.grad_input(g, i, grad_input=by_i)
    by_f[:first].zero_()
    previous = _previous(cell, sizes).to(gates.dtype)
    torch.ops.aten.sigmoid_backward.grad_input(previous, f[first:], grad_input=by_f[first:])
    torch.ops.aten.tanh_backward.grad_input(i, g, grad_input=by_g)
    torch.ops.aten.sigmoid_backward.grad_input(out, o, grad_input=by_o)
    return slopes, torch.ops.aten.tanh_backward.grad_input(o, out, grad_input=out)


def _by_step(packed: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    return list(torch.split(packed, list(sizes)))


def _spans(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Where each step starts and ends."""
    ends = list(accumulate(sizes))
    return [(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _previous(packed: Tensor, sizes: Sequence[int]) -> Tensor:
    """Returns, for every row from step 1 on, the same sequence's row one step before."""
    if sizes[0] == sizes[-1]:
        return packed[: len(packed) - sizes[0]]
    spans = _spans(sizes)
    rows = [
        torch.arange(start, start + size)
        for (start, _), size in zip(spans, sizes[1:], strict=False)
    ]
    return packed.index_select(0, moved(torch.cat(rows), packed.device))
