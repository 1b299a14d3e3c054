"""Prints when it is imported, asked and used."""

from torch import Tensor

from distillbench import hookimpl
from distillbench.interfaces import (
    NO_FRAME,
    ClipGenerator,
    Clips,
    FrameSelector,
    Metric,
    Predictions,
    RunEnded,
)
from loud_methods.noise import shout

shout("import")


class Loud(FrameSelector):
    """The first k frames, with noise."""

    def __init__(self, k: int) -> None:
        shout("init")
        self.k = k

    def select(
        self, lengths: Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> Tensor:
        """Returns the first k frames."""
        import torch

        index = torch.arange(min(self.k, int(lengths.max())))
        return index.expand(len(lengths), -1).masked_fill(index >= lengths[:, None], NO_FRAME)


@hookimpl
def frame_selectors() -> dict[str, type[FrameSelector]]:
    """Offers `loud`."""
    shout("hook")
    return {"loud": Loud}


@hookimpl
def run_ended(event: RunEnded) -> None:
    """Prints in the end."""
    shout("observer")


class Volume(Metric):
    """How loud it is."""

    title = "volume"

    def compute(self, predictions: Predictions) -> float:
        """Returns 11."""
        shout("metric")
        return 11.0


@hookimpl
def metrics() -> dict[str, type[Metric]]:
    """Offers `volume`."""
    shout("metrics")
    return {"volume": Volume}
