"""The LSTM in the form that can be quantised."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from distillbench_plugins.layers.lstm import LSTM


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 3))
def test_it_computes_what_the_lstm_computes(sizes: list[int], layers: int) -> None:
    sizes = sorted(sizes, reverse=True)
    torch.manual_seed(0)
    lstm = LSTM(3, 4, layers).double().eval()
    frames = torch.randn(sum(sizes), 3, dtype=torch.float64)
    with torch.no_grad():
        for ours, theirs in zip(
            lstm.with_linears()(frames, sizes), lstm(frames, sizes), strict=True
        ):
            torch.testing.assert_close(ours.cell, theirs.cell)
            torch.testing.assert_close(ours.hidden, theirs.hidden)


def test_every_product_is_a_linear() -> None:
    products = [
        module for module in LSTM(3, 4, 2).with_linears().modules() if type(module) is nn.Linear
    ]
    assert sorted(tuple(linear.weight.shape) for linear in products) == [
        (16, 3),
        (16, 4),
        (16, 4),
        (16, 4),
    ]


def test_training_the_lstm_further_does_not_change_the_copy() -> None:
    lstm = LSTM(3, 4, 1)
    copy = lstm.with_linears()
    before = copy.inputs[0].weight.clone()
    with torch.no_grad():
        lstm.weights(0)[0].add_(1.0)
    assert torch.equal(copy.inputs[0].weight, before)
