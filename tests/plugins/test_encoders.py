"""What each encoder computes, against its paper's formula in numpy, a video and a frame at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from distillbench.interfaces import NO_FRAME, Clips, Encoder
from distillbench_plugins.encoders.attentive_probe import AttentiveProbe
from distillbench_plugins.encoders.dbof import DeepBagOfFrames
from distillbench_plugins.encoders.gru import GRUEncoder
from distillbench_plugins.encoders.lstm import LSTMEncoder
from distillbench_plugins.encoders.mean_pool import MeanPool
from distillbench_plugins.encoders.mingru import MinGRU
from distillbench_plugins.encoders.netvlad import NetVLAD
from distillbench_plugins.encoders.nextvlad import NeXtVLAD
from distillbench_plugins.encoders.tcn import TemporalConvolutions
from distillbench_plugins.encoders.transformer import TransformerEncoder

Array = NDArray[np.float64]
D, LENGTHS = 6, (7, 4, 1)


def clips(seed: int = 0) -> Clips:
    """Three videos of 7, 4 and 1 frames, padded with zeros."""
    drawn = torch.Generator().manual_seed(seed)
    frames = torch.randn(len(LENGTHS), max(LENGTHS), D, generator=drawn, dtype=torch.float64)
    times = torch.arange(max(LENGTHS)).expand(len(LENGTHS), -1) * 3
    real = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return Clips(
        frames * real[:, :, None],
        torch.tensor(LENGTHS),
        times.masked_fill(~real, NO_FRAME),
        max(LENGTHS),
    )


def made(kind: Callable[..., Encoder], **knobs: Any) -> Encoder:
    torch.manual_seed(1)
    return kind(D, **knobs).double().eval()


def numbers(encoder: Encoder) -> dict[str, Array]:
    return {name: value.detach().numpy() for name, value in encoder.state_dict().items()}


def softmax(rows: Array, axis: int) -> Array:
    powers = np.exp(rows - rows.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def sigmoid(rows: Array) -> Array:
    return 1 / (1 + np.exp(-rows))


def unit(row: Array) -> Array:
    return row / np.sqrt((row * row).sum())


def normed(row: Array) -> Array:
    return (row - row.mean()) / np.sqrt(row.var() + 1e-5)


def linear(p: dict[str, Array], name: str, rows: Array) -> Array:
    return rows @ p[f"{name}.weight"].T + p[f"{name}.bias"]


# ----------------------------------------------------------------------- one video of T frames each


def netvlad(p: dict[str, Array], x: Array) -> Array:
    shares = softmax(linear(p, "assign", x), 1)
    vlad = [
        unit(sum(shares[t, k] * (x[t] - center) for t in range(len(x))))  # type: ignore[arg-type]
        for k, center in enumerate(p["centers"])
    ]
    summary = linear(p, "project", unit(np.concatenate(vlad)))
    return sigmoid(linear(p, "gate.gates.0", summary)) * summary


def nextvlad(p: dict[str, Array], x: Array) -> Array:
    groups, clusters = 3, len(p["centers"])
    expanded = linear(p, "expand", x)
    attention = sigmoid(linear(p, "attend", expanded))
    logits = linear(p, "assign", expanded).reshape(len(x), groups, clusters)
    parts = expanded.reshape(len(x), groups, -1)
    vlad = np.zeros((clusters, parts.shape[2]))
    for t in range(len(x)):
        for g in range(groups):
            shares = attention[t, g] * softmax(logits[t, g], 0)
            vlad += shares[:, None] * (parts[t, g] - p["centers"])
    summary = linear(p, "project", np.concatenate([unit(row) for row in vlad]))
    hidden = np.maximum(linear(p, "gate.gates.0", summary), 0)
    return sigmoid(linear(p, "gate.gates.2", hidden)) * summary


def dbof(p: dict[str, Array], x: Array) -> Array:
    units = [
        normed(row) * p["frame.1.weight"] + p["frame.1.bias"] for row in linear(p, "frame.0", x)
    ]
    pooled = np.maximum(np.stack(units), 0).max(0)
    return np.clip(normed(linear(p, "video.0", pooled)), 0, 6)


def mean_pool(p: dict[str, Array], x: Array) -> Array:
    return linear(p, "video.1", np.maximum(linear(p, "frame.0", x), 0).mean(0))


def attentive_probe(p: dict[str, Array], x: Array) -> Array:
    keys, values = linear(p, "keys", x), linear(p, "values", x)
    gathered = []
    for query in p["queries"]:
        for head in np.split(np.arange(len(query)), 2):
            shares = softmax(keys[:, head] @ query[head] / np.sqrt(len(head)), 0)
            gathered.append(shares @ values[:, head])
    return linear(p, "project", np.concatenate(gathered))


def mingru(p: dict[str, Array], x: Array) -> Array:
    for layer in range(2):
        state, states = np.zeros(8), []
        for row in x:
            update = sigmoid(linear(p, f"gates.{layer}", row))
            state = (1 - update) * state + update * linear(p, f"candidates.{layer}", row)
            states.append(state)
        x = np.stack(states)
    return x[-1]


def lstm(p: dict[str, Array], x: Array) -> Array:
    hidden, cell = np.zeros(8), np.zeros(8)
    for row in x:
        gates = p["rnn.weight_ih_l0"] @ row + p["rnn.bias_ih_l0"]
        gates += p["rnn.weight_hh_l0"] @ hidden + p["rnn.bias_hh_l0"]
        i, f, g, o = np.split(gates, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
    return hidden


def gru(p: dict[str, Array], x: Array) -> Array:
    hidden = np.zeros(8)
    for row in x:
        below = np.split(p["rnn.weight_ih_l0"] @ row + p["rnn.bias_ih_l0"], 3)
        own = np.split(p["rnn.weight_hh_l0"] @ hidden + p["rnn.bias_hh_l0"], 3)
        reset, update = sigmoid(below[0] + own[0]), sigmoid(below[1] + own[1])
        hidden = (1 - update) * np.tanh(below[2] + reset * own[2]) + update * hidden
    return hidden


def tcn(p: dict[str, Array], x: Array) -> Array:
    rows = linear(p, "frame", x)
    for layer in range(2):
        weight, bias = (
            p[f"blocks.{layer}.convolution.weight"],
            p[f"blocks.{layer}.convolution.bias"],
        )
        padded = np.vstack([np.zeros((2 * 2**layer, rows.shape[1])), rows])
        out = [
            sum(weight[:, :, i] @ padded[t + i * 2**layer] for i in range(3)) + bias
            for t in range(len(rows))
        ]
        rows = rows + np.maximum(np.stack(out), 0)
    return rows[-1]


ENCODERS: dict[str, tuple[Encoder, Callable[[dict[str, Array], Array], Array]]] = {
    "netvlad": (made(NetVLAD, clusters=4, size=5), netvlad),
    "nextvlad": (
        made(NeXtVLAD, clusters=4, groups=3, expansion=2, size=8, gate_reduction=2),
        nextvlad,
    ),
    "dbof": (made(DeepBagOfFrames, clusters=9, size=5), dbof),
    "mean-pool": (made(MeanPool, size=8), mean_pool),
    "attentive-probe": (made(AttentiveProbe, size=8, heads=2, queries=3), attentive_probe),
    "mingru": (made(MinGRU, size=8, layers=2), mingru),
    "lstm": (made(LSTMEncoder, size=8), lstm),
    "gru": (made(GRUEncoder, size=8), gru),
    "tcn": (made(TemporalConvolutions, size=8, layers=2, kernel=3), tcn),
}
WITHOUT_ORDER = ("netvlad", "nextvlad", "dbof", "mean-pool", "attentive-probe")


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoding_is_what_the_paper_says(name: str) -> None:
    encoder, formula = ENCODERS[name]
    given = clips()
    found = encoder(given).summary.detach().numpy()
    for video, length in enumerate(LENGTHS):
        expected = formula(numbers(encoder), given.frames[video, :length].numpy())
        np.testing.assert_allclose(found[video], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ENCODERS)
def test_order_counts_where_it_is_said_to(name: str) -> None:
    encoder, _ = ENCODERS[name]
    given = clips()
    one = Clips(given.frames[:1], given.lengths[:1], given.times[:1], given.slots)
    other = Clips(one.frames.flip(1), one.lengths, one.times, one.slots)
    same = torch.allclose(encoder(one).summary, encoder(other).summary, rtol=1e-9, atol=1e-12)
    assert same == (name in WITHOUT_ORDER)


def test_a_transformer_knows_when_its_frames_were_and_not_only_their_order() -> None:
    encoder = made(TransformerEncoder, size=8, heads=2, layers=1)
    given = clips()
    moved = Clips(given.frames, given.lengths, given.times.clamp_min(-1) * 2, given.slots)
    moved = Clips(
        moved.frames,
        moved.lengths,
        moved.times.masked_fill(given.times == NO_FRAME, NO_FRAME),
        moved.slots,
    )
    one, other = encoder(given).summary, encoder(moved).summary
    # The last video's only frame is at time 0 either way.
    assert torch.equal(one[2], other[2])
    assert not torch.isclose(one[:2], other[:2]).all(1).any()


def test_features_as_small_as_normalized_ones_tell_a_transformer_as_much_as_large_ones() -> None:
    encoder = made(TransformerEncoder, size=8, heads=2, layers=2)
    given = clips()
    small = Clips(0.2 * given.frames, given.lengths, given.times, given.slots)
    found, expected = encoder(small).summary, encoder(given).summary
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.02)


def test_frames_that_swap_places_with_their_times_change_nothing_for_a_transformer() -> None:
    encoder = made(TransformerEncoder, size=8, heads=2, layers=2)
    given = clips()
    order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
    one = Clips(given.frames[:1], given.lengths[:1], given.times[:1], given.slots)
    other = Clips(one.frames[:, order], one.lengths, one.times[:, order], one.slots)
    torch.testing.assert_close(encoder(one).summary, encoder(other).summary)


def test_convolutions_over_time_see_nothing_that_comes_later() -> None:
    encoder, _ = ENCODERS["tcn"]
    given = clips()
    before = encoder(given, with_states=True).states["frames"].values
    changed = given.frames.clone()
    changed[0, 4:] += 1.0
    later = Clips(changed, given.lengths, given.times, given.slots)
    after = encoder(later, with_states=True).states["frames"].values
    assert torch.equal(before[0, :4], after[0, :4])
    assert not torch.isclose(before[0, 4:], after[0, 4:]).all(1).any()


def test_an_lstm_is_computed_in_float32_under_autocast_on_the_cpu() -> None:
    """Not every processor can do torch's LSTM in bf16, and no result may depend on which it is."""
    torch.manual_seed(0)
    encoder = LSTMEncoder(D, size=8).eval()
    given = clips()
    single = Clips(given.frames.float(), given.lengths, given.times, given.slots)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = encoder(single).summary
    torch.testing.assert_close(narrow, encoder(single).summary, rtol=0, atol=0)


def test_the_vlad_of_a_video_that_is_repeated_is_that_of_the_video() -> None:
    encoder, _ = ENCODERS["netvlad"]
    frames = clips().frames[:1]
    once = Clips(frames, torch.tensor([7]), torch.arange(7)[None], 7)
    twice = Clips(frames.repeat(1, 2, 1), torch.tensor([14]), torch.arange(14)[None], 14)
    torch.testing.assert_close(encoder(once).summary, encoder(twice).summary)


def test_gates_are_left_out_where_they_are_not_wanted() -> None:
    assert isinstance(NetVLAD(D, clusters=2, size=3, gating=False).gate, nn.Identity)
