"""A control: frames that a trained teacher, shown each one alone, finds most telling."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from torch import Tensor, nn

from distillbench import hookimpl, load
from distillbench.errors import ConfigError, DistillbenchError
from distillbench.interfaces import ClipGenerator, Clips, LearnedSelector, Selection
from distillbench_plugins.layers.frame_choice import best, every
from distillbench_plugins.layers.frame_evidence import Form, agreement


class Oracle(LearnedSelector):
    """A control: the k frames that alone let a trained teacher say what it says of all of them.

    What a selector could reach that knew the teacher; no method, for it runs the teacher on all N
    frames, alone and together, and pays for them and for its parameters. Frames are ranked by their
    class probabilities, weighted by those of the whole video, which is what `match-saliency`
    teaches; labels, one or several, are not looked at. The teacher stays as it is.

    Knobs:
        run: the file of the run whose network is the teacher; it must have the same features.
        form: `sigmoid` compares each class on its own, `softmax` one class among all.
    """

    check_needs: ClassVar[str] = "a trained run, which `--set selector.run=FILE` names"

    def __init__(self, width: int, k: int, *, run: str = "", form: Form = "sigmoid") -> None:
        super().__init__()
        if not run:
            raise ConfigError([f"selector oracle: run={run!r} names no file of a trained run"])
        self.k = k
        self.form: Form = form
        self.teacher = _trained(run)
        if (found := sum(self.teacher.features.values())) != width:
            raise ConfigError(
                [f"selector oracle: run={run!r} reads frames of {found} numbers, not of {width}"]
            )

    def candidates(self, lengths: Tensor) -> Tensor:
        """Returns every frame (B, N)."""
        return every(lengths, 1)

    def forward(self, candidates: Clips, generator: ClipGenerator) -> Selection:
        """Chooses the best of the candidates."""
        video = self.teacher(candidates).logits
        scores = agreement(self.teacher.frame_logits(candidates).values, video, self.form)
        scores = scores.masked_fill(~candidates.mask(), 0.0)
        return Selection(best(scores, candidates.lengths, self.k), scores=scores)

    def train(self, mode: bool = True) -> Oracle:
        """Sets its mode; the teacher's is always that of evaluation."""
        super().train(mode)
        self.teacher.eval()
        return self


def _trained(run: str) -> Any:
    """Returns the network of a stored run, frozen."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            network: nn.Module = load(run).network
    except (DistillbenchError, OSError, UserWarning) as error:
        raise ConfigError([f"selector oracle: run={run!r}: {error}"]) from error
    return network.cpu().eval().requires_grad_(False)


@hookimpl
def learned_selectors() -> dict[str, type[LearnedSelector]]:
    """Offers `oracle`."""
    return {"oracle": Oracle}
