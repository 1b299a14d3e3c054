"""What the core's counter finds for each encoder, against closed forms of its architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from running import built
from torch import Tensor

from distillbench.evaluation.cost import count_macs
from distillbench.interfaces import Codec, Encoder, Head
from distillbench.networks import Model
from distillbench_plugins.encoders.attentive_probe import AttentiveProbe
from distillbench_plugins.encoders.dbof import DeepBagOfFrames
from distillbench_plugins.encoders.frameexit import FrameExit
from distillbench_plugins.encoders.gru import GRUEncoder
from distillbench_plugins.encoders.hrnn import StudentHRNN, TeacherHRNN
from distillbench_plugins.encoders.lstm import LSTMEncoder
from distillbench_plugins.encoders.mean_pool import MeanPool
from distillbench_plugins.encoders.mingru import MinGRU
from distillbench_plugins.encoders.netvlad import NetVLAD
from distillbench_plugins.encoders.nextvlad import NeXtVLAD
from distillbench_plugins.encoders.tcn import TemporalConvolutions
from distillbench_plugins.encoders.transformer import TransformerEncoder

WIDTH = 1152
"""Numbers of a frame of YouTube-8M."""


def recurrent(gates: int) -> Callable[..., int]:
    """Every gate of every layer multiplies what comes from below and the layer's own state."""

    def macs(frames: int, width: int, size: int, layers: int) -> int:
        below = [width, *[size] * (layers - 1)]
        return frames * sum((each + size) * gates * size for each in below)

    return macs


def mean_pool(frames: int, width: int, size: int) -> int:
    return frames * width * size + size * size


def netvlad(frames: int, width: int, clusters: int, size: int, gating: bool) -> int:
    assigned = summed = frames * width * clusters
    projected = clusters * width * size
    return assigned + summed + projected + (size * size if gating else 0)


def nextvlad(
    frames: int,
    width: int,
    clusters: int,
    groups: int,
    expansion: int,
    size: int,
    gate_reduction: int,
) -> int:
    expanded = expansion * width
    of_a_frame = width * expanded + expanded * groups + expanded * groups * clusters
    summed = groups * clusters * (expanded // groups)
    projected = clusters * (expanded // groups) * size
    return frames * (of_a_frame + summed) + projected + 2 * size * (size // gate_reduction)


def attentive_probe(frames: int, width: int, size: int, heads: int, queries: int) -> int:
    keys_and_values = 2 * frames * width * size
    scores_and_sums = 2 * queries * frames * size
    return keys_and_values + scores_and_sums + queries * size * size


def transformer(frames: int, width: int, size: int, layers: int, heads: int) -> int:
    projections, network = 4 * frames * size * size, 8 * frames * size * size
    scores_and_sums = 2 * frames * frames * size
    return frames * width * size + layers * (projections + scores_and_sums + network)


def hrnn(frames: int, width: int, cell_size: int, layers: int, block_length: int) -> int:
    """The lower LSTM runs over all frames, the higher over the blocks' codes."""
    lstm, blocks = recurrent(gates=4), -(-frames // block_length)
    code = 2 * layers * cell_size
    return lstm(frames, width, cell_size, layers) + lstm(blocks, code, cell_size, layers)


def mingru(frames: int, width: int, size: int, layers: int) -> int:
    return recurrent(gates=2)(frames, width, size, layers) - frames * layers * 2 * size * size


def dbof(frames: int, width: int, clusters: int, size: int) -> int:
    return frames * width * clusters + clusters * size


def tcn(frames: int, width: int, size: int, layers: int, kernel: int) -> int:
    return frames * (width * size + layers * kernel * size * size)


def frameexit(frames: int, width: int, size: int) -> int:
    return frames * (width * size + size * size) + size * size


CASES: list[tuple[type[Encoder], Callable[..., int], Mapping[str, int]]] = [
    (LSTMEncoder, recurrent(gates=4), {"size": 24, "layers": 1}),
    (LSTMEncoder, recurrent(gates=4), {"size": 16, "layers": 3}),
    (GRUEncoder, recurrent(gates=3), {"size": 24, "layers": 1}),
    (GRUEncoder, recurrent(gates=3), {"size": 16, "layers": 3}),
    (MeanPool, mean_pool, {"size": 24}),
    (NetVLAD, netvlad, {"clusters": 5, "size": 24, "gating": True}),
    (NetVLAD, netvlad, {"clusters": 5, "size": 24, "gating": False}),
    (
        NeXtVLAD,
        nextvlad,
        {"clusters": 5, "groups": 4, "expansion": 3, "size": 24, "gate_reduction": 6},
    ),
    (AttentiveProbe, attentive_probe, {"size": 24, "heads": 3, "queries": 1}),
    (AttentiveProbe, attentive_probe, {"size": 24, "heads": 4, "queries": 5}),
    (TransformerEncoder, transformer, {"size": 24, "layers": 1, "heads": 3}),
    (TransformerEncoder, transformer, {"size": 16, "layers": 3, "heads": 2}),
    (MinGRU, mingru, {"size": 16, "layers": 3}),
    (DeepBagOfFrames, dbof, {"clusters": 30, "size": 8}),
    (TemporalConvolutions, tcn, {"size": 12, "layers": 3, "kernel": 2}),
    (FrameExit, frameexit, {"size": 12}),
    (TeacherHRNN, hrnn, {"cell_size": 12, "layers": 2, "block_length": 20}),
    (StudentHRNN, hrnn, {"cell_size": 12, "layers": 1, "block_length": 5}),
]


class NoHead(Head):
    """Leaves the encoder alone with the counter."""

    def forward(self, summary: Tensor) -> Tensor:
        return summary


def counted(encoder: Encoder, width: int, frames: int) -> int:
    """Returns the MACs of the encoder, as a run counts and stores them."""
    macs, _, why = count_macs(Model(encoder, NoHead(), Codec()), width, frames, frames)
    assert macs is not None, why
    return macs


def weights_of(encoder: Encoder) -> int:
    return sum(weight.numel() for weight in encoder.parameters())


@pytest.mark.parametrize(
    ("kind", "closed_form", "knobs"), CASES, ids=[case[0].__name__ for case in CASES]
)
@settings(max_examples=5, deadline=None)
@given(frames=st.integers(2, 45), width=st.integers(1, 10).map(lambda fours: 4 * fours))
def test_macs_are_those_of_the_architecture(
    kind: type[Encoder],
    closed_form: Callable[..., int],
    knobs: Mapping[str, int],
    frames: int,
    width: int,
) -> None:
    assert counted(built(kind, width, **knobs), width, frames) == closed_form(
        frames, width, **knobs
    )


def test_netvlad_at_published_size_has_the_weights_and_macs_of_its_closed_form() -> None:
    with torch.device("meta"):
        encoder = NetVLAD(WIDTH)
    assigned = WIDTH * 256 + 256
    centers = 256 * WIDTH
    projected = 256 * WIDTH * 1024 + 1024
    gated = 1024 * 1024 + 1024
    assert weights_of(encoder) == assigned + centers + projected + gated == 303_630_592
    assert counted(encoder, WIDTH, 300) == netvlad(300, WIDTH, 256, 1024, gating=True)


def test_nextvlad_at_published_size_has_the_weights_and_macs_of_its_closed_form() -> None:
    with torch.device("meta"):
        encoder = NeXtVLAD(WIDTH)
    expanded, part = 2 * WIDTH, 2 * WIDTH // 8
    before = WIDTH * expanded + expanded + expanded * 8 + 8 + expanded * 8 * 128 + 8 * 128
    centers, projected = 128 * part, 128 * part * 2048 + 2048
    gated = 2048 * 256 + 256 + 256 * 2048 + 2048
    assert weights_of(encoder) == before + centers + projected + gated
    assert counted(encoder, WIDTH, 300) == nextvlad(300, WIDTH, 128, 8, 2, 2048, 8)


def test_nextvlad_is_a_fraction_of_netvlads_size() -> None:
    with torch.device("meta"):
        assert 3 * weights_of(NeXtVLAD(WIDTH)) < weights_of(NetVLAD(WIDTH))
