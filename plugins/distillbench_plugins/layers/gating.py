"""Context gating (arXiv 1706.06905)."""

from __future__ import annotations

from torch import Tensor, nn


class ContextGating(nn.Module):
    """y = sigmoid(W x + b) * x, where features suppress one another (arXiv 1706.06905, eq. 1)."""

    def __init__(self, width: int, bottleneck: int = 0) -> None:
        super().__init__()
        self.gates = nn.Sequential(nn.Linear(width, width))
        if bottleneck:
            self.gates = nn.Sequential(
                nn.Linear(width, bottleneck), nn.ReLU(), nn.Linear(bottleneck, width)
            )

    def forward(self, values: Tensor) -> Tensor:
        """Gates values (B, W)."""
        gated: Tensor = self.gates(values).sigmoid() * values
        return gated
