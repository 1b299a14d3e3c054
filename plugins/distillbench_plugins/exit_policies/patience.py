"""Stop where the answer has not changed for some exits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import ExitPolicy


class Patience(ExitPolicy):
    """Stops where the best class has been the same at so many exits in a row.

    Patience-based early exit (PABEE, arXiv 2006.04152, section 3.2). Nothing is tuned.

    Knobs:
        exits: how many exits in a row must agree, at least 2.
    """

    def __init__(self, *, exits: int = 2) -> None:
        super().__init__()
        if not 2 <= exits <= 1000:
            found = f"exit policy patience: exits={exits} is not an integer from 2 to 1000"
            raise ConfigError([found])
        self.exits = exits

    def stop(self, logits: Sequence[Tensor]) -> Tensor:
        """Stops where the last `exits` exits agree on the best class."""
        if len(logits) < self.exits:
            return torch.zeros_like(logits[-1][:, 0], dtype=torch.bool)
        best = torch.stack([each.argmax(1) for each in logits[-self.exits :]])
        return (best == best[-1]).all(0)


@hookimpl
def exit_policies() -> dict[str, type[ExitPolicy]]:
    """Offers `patience`."""
    return {"patience": Patience}
