"""What backbones have in common: how pixels become the numbers that a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn, tensor


class OnPixels(nn.Module):
    """Shows a network pixels as it was trained on them: (pixel / 255 - mean) / deviation.

    mean, deviation: of red, green and blue.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], deviation: Sequence[float]):
        super().__init__()
        self.network = network
        self.register_buffer("mean", 255 * tensor(list(mean)).reshape(3, 1, 1))
        self.register_buffer("deviation", 255 * tensor(list(deviation)).reshape(3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Encodes pictures (B, 3, H, W), uint8, as what the network makes of them, (B, D)."""
        encoded: Tensor = self.network((pictures - self.mean) / self.deviation)
        return encoded
