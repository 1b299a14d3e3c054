"""Networks in 8 bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from distillbench.errors import NotApplicableError
from distillbench.evaluation.quantization import quantized, weight_bytes
from distillbench.interfaces import Clips, Codec, Encoder, Encoding, Head
from distillbench.networks import Model


class Recurrent(Encoder):
    """An encoder that knows nothing of quantization."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, 32, batch_first=True)

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        return Encoding(self.lstm(clips.frames)[0][:, -1])


class Mean(Encoder):
    """An encoder without a product."""

    def forward(self, clips: Clips, *, with_states: bool = False) -> Encoding:
        return Encoding(clips.frames.mean(1))


class Linear(Head):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, classes)

    def forward(self, summary: Tensor) -> Tensor:
        logits: Tensor = self.linear(summary)
        return logits


class Plain(Head):
    def forward(self, summary: Tensor) -> Tensor:
        return summary


def clips(videos: int = 3, frames: int = 4, width: int = 16) -> Clips:
    torch.manual_seed(0)
    times = torch.arange(frames).expand(videos, -1)
    return Clips(torch.randn(videos, frames, width), torch.full((videos,), frames), times, frames)


def test_standard_modules_of_a_plugin_are_quantised_without_its_help() -> None:
    model = Model(Recurrent(16), Linear(32, 5), Codec()).eval()
    small = quantized(model)
    assert not any(
        isinstance(module, nn.Linear | nn.LSTM)
        for module in small.modules()
        if type(module) is nn.Linear
    )
    assert weight_bytes(small) < 0.4 * weight_bytes(model)
    with torch.no_grad():
        torch.testing.assert_close(
            small(clips()).logits, model(clips()).logits, atol=0.02, rtol=0.02
        )


def test_the_network_itself_is_left_as_it_was() -> None:
    model = Model(Recurrent(16), Linear(32, 5), Codec())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    quantized(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_network_without_products_is_refused() -> None:
    with pytest.raises(NotApplicableError, match="nothing to quantise"):
        quantized(Model(Mean(), Plain(), Codec()))


def test_the_bytes_of_plain_weights_are_all_counted() -> None:
    assert weight_bytes(nn.Linear(3, 2)) == 4 * (3 * 2 + 2)
