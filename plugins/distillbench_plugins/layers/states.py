"""What an LSTM leaves behind after every step."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class States(NamedTuple):
    """The cell and hidden state after every step: c and h, each (P, H), packed."""

    cell: Tensor
    hidden: Tensor
