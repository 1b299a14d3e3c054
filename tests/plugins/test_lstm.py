from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.flop_counter import FlopCounterMode

from distillbench_plugins.layers.lstm import LSTM
from distillbench_plugins.layers.packing import cut, pack

SIZES = [4, 3, 3, 1]
LENGTHS = torch.tensor([4, 3, 3, 1])


def plain_and_ours(dtype: torch.dtype, layers: int = 2) -> tuple[nn.LSTM, LSTM]:
    """Two stacks with the same weights; of `nn.LSTM`'s two biases, the sum is all that matters."""
    plain, ours = nn.LSTM(5, 7, layers).to(dtype), LSTM(5, 7, layers).to(dtype)
    theirs = plain.state_dict()
    with torch.no_grad():
        for layer in range(layers):
            weight_ih, weight_hh, bias = ours.weights(layer)
            weight_ih.copy_(theirs[f"weight_ih_l{layer}"])
            weight_hh.copy_(theirs[f"weight_hh_l{layer}"])
            bias.copy_(theirs[f"bias_ih_l{layer}"] + theirs[f"bias_hh_l{layer}"])
    return plain, ours


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layers", [1, 3])
def test_hidden_states_and_all_gradients_are_those_of_torchs_lstm(
    dtype: torch.dtype, layers: int
) -> None:
    plain, ours = plain_and_ours(dtype, layers)
    frames = torch.randn(4, 4, 5, dtype=dtype)
    packed = pack_padded_sequence(frames, LENGTHS)
    theirs_in, ours_in = packed.data.clone().requires_grad_(), packed.data.clone().requires_grad_()

    theirs = plain(packed._replace(data=theirs_in))[0].data
    states = ours(ours_in, packed.batch_sizes.tolist())
    torch.testing.assert_close(states[-1].hidden, theirs)

    pull = torch.randn_like(theirs)
    (theirs * pull).sum().backward()
    (states[-1].hidden * pull).sum().backward()
    torch.testing.assert_close(ours_in.grad, theirs_in.grad)
    for layer in range(layers):
        weight_ih, weight_hh, bias = ours.weights(layer)
        torch.testing.assert_close(weight_ih.grad, getattr(plain, f"weight_ih_l{layer}").grad)
        torch.testing.assert_close(weight_hh.grad, getattr(plain, f"weight_hh_l{layer}").grad)
        torch.testing.assert_close(bias.grad, getattr(plain, f"bias_hh_l{layer}").grad)


def test_every_layers_last_states_are_those_of_torchs_lstm() -> None:
    plain, ours = plain_and_ours(torch.float64)
    frames = torch.randn(4, 4, 5, dtype=torch.float64)
    packed = pack_padded_sequence(frames, LENGTHS)
    _, (hidden, cell) = plain(packed)
    last = pack(torch.tensor([0, 4, 8, 12]), LENGTHS).last
    for layer, states in enumerate(ours(packed.data, packed.batch_sizes.tolist())):
        torch.testing.assert_close(states.hidden[last], hidden[layer])
        torch.testing.assert_close(states.cell[last], cell[layer])


def test_gradients_agree_with_finite_differences() -> None:
    lstm = LSTM(3, 4, 2).double()
    frames = torch.randn(sum(SIZES), 3, dtype=torch.float64, requires_grad=True)

    def states(frames: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        return tuple(state for layer in lstm(frames, SIZES) for state in layer)

    assert torch.autograd.gradcheck(states, (frames, *lstm.parameters()))


def test_a_single_step_gives_the_recurrent_weights_a_gradient_of_zero() -> None:
    lstm = LSTM(3, 4, 1)
    lstm(torch.randn(2, 3), [2])[-1].hidden.sum().backward()
    gradient = lstm.weights(0)[1].grad
    assert gradient is not None
    assert not gradient.any()


def test_a_frozen_stack_passes_the_gradient_on_and_takes_none() -> None:
    lstm = LSTM(3, 4, 2).requires_grad_(False)
    frames = torch.randn(sum(SIZES), 3, requires_grad=True)
    lstm(frames, SIZES)[-1].cell.sum().backward()
    assert frames.grad is not None
    assert all(weight.grad is None for weight in lstm.parameters())


def test_without_gradient_nothing_is_kept_for_one() -> None:
    with torch.no_grad():
        states = LSTM(3, 4, 2)(torch.randn(sum(SIZES), 3), SIZES)
    assert all(state.grad_fn is None for layer in states for state in layer)


def test_autocast_multiplies_in_bfloat16_and_keeps_cell_states_and_weights_in_float32() -> None:
    lstm = LSTM(8, 8, 2)
    frames = torch.randn(sum(SIZES), 8)
    exact = lstm(frames, SIZES)[-1]
    with torch.autocast("cpu", torch.bfloat16):
        states = lstm(frames, SIZES)[-1]
    assert states.hidden.dtype == torch.bfloat16
    assert states.cell.dtype == torch.float32
    torch.testing.assert_close(states.cell, exact.cell, atol=0.05, rtol=0.05)
    (states.cell.sum() + states.hidden.float().sum()).backward()
    assert {weight.grad.dtype for weight in lstm.parameters() if weight.grad is not None} == {
        torch.float32
    }


def test_bfloat16_gradients_point_where_float32_gradients_point() -> None:
    lstm = LSTM(16, 16, 2)
    frames = torch.randn(12, 16)

    def gradient(precise: bool) -> Tensor:
        lstm.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            states = lstm(frames, [4, 4, 4])[-1]
        (states.cell.square().sum() + states.hidden.float().sum()).backward()
        return torch.cat(
            [weight.grad.flatten() for weight in lstm.parameters() if weight.grad is not None]
        )

    assert torch.cosine_similarity(gradient(True), gradient(False), dim=0) > 0.999


def test_the_meta_device_counts_the_standard_form() -> None:
    with torch.device("meta"):
        lstm, frames = LSTM(1024, 1024, 2), torch.empty(20, 1024)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        lstm(frames, [1] * 20)
    assert counter.get_total_flops() == 2 * 20 * 16_777_216


def test_kernels_start_glorot_uniform_with_forget_bias_one() -> None:
    lstm = LSTM(30, 20, 2, init="glorot")
    for layer, below in enumerate((30, 20)):
        weight_ih, weight_hh, bias = lstm.weights(layer)
        bound = (6 / (below + 20 + 80)) ** 0.5
        for kernel in (weight_ih, weight_hh):
            assert 0.9 * bound < kernel.abs().max() <= bound
        assert bias.tolist() == [0.0] * 20 + [1.0] * 20 + [0.0] * 40


def test_the_default_init_is_that_of_torchs_lstm() -> None:
    lstm = LSTM(30, 25, 1, init="default")
    weight_ih, weight_hh, bias = lstm.weights(0)
    assert 0.15 < weight_ih.abs().max() <= 0.2
    assert 0.15 < weight_hh.abs().max() <= 0.2
    assert 0.2 < bias.abs().max() <= 0.4


def test_dropout_between_layers_acts_in_training_alone() -> None:
    lstm, frames = LSTM(3, 16, 2, dropout=0.5), torch.randn(sum(SIZES), 3)
    assert not torch.equal(lstm(frames, SIZES)[-1].hidden, lstm(frames, SIZES)[-1].hidden)
    lstm.eval()
    assert torch.equal(lstm(frames, SIZES)[-1].hidden, lstm(frames, SIZES)[-1].hidden)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_packing_walks_every_row_once_in_the_order_torch_packs_them(lengths: list[int]) -> None:
    given_lengths = torch.tensor(lengths)
    starts = given_lengths.cumsum(0) - given_lengths
    packing = pack(starts, given_lengths)
    table = [
        torch.arange(start, start + length)
        for start, length in zip(starts.tolist(), lengths, strict=True)
    ]
    theirs = nn.utils.rnn.pack_sequence(table, enforce_sorted=False)
    assert packing.sizes == theirs.batch_sizes.tolist()
    assert sorted(packing.rows.tolist()) == list(range(sum(lengths)))
    assert packing.rows[packing.last].tolist() == (starts + given_lengths - 1).tolist()
    for row in table:
        order = [packing.rows.tolist().index(frame) for frame in row.tolist()]
        assert order == sorted(order)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), min_size=1, max_size=5))
def test_blocks_follow_one_another_and_none_is_empty(videos: list[tuple[int, int]]) -> None:
    lengths, block_lengths = (torch.tensor(column) for column in zip(*videos, strict=True))
    starts, sizes, counts = cut(lengths, block_lengths, stride=9)
    assert int(sizes.min()) >= 1
    walked = [
        row
        for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)
        for row in range(start, start + size)
    ]
    assert walked == [
        video * 9 + frame for video, (length, _) in enumerate(videos) for frame in range(length)
    ]
    assert counts.tolist() == [-(-length // block) for length, block in videos]
