"""The form in which a network is deployed: fixed slots, stored frames in, scores out.

Exporters begin with it. Once it is traced, nothing in it needs distillbench.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from distillbench.errors import NotApplicableError
from distillbench.interfaces import NO_FRAME, Clips
from distillbench.networks import Model

__all__ = ["Deployed", "deployed", "inputs_of", "traced"]

INPUTS = ("frames", "lengths", "times")


class Deployed(nn.Module):
    """A network with a fixed number of slots for frames, and any number of videos.

    slots: K, how many frames of a video it takes.
    outputs: the names of what `forward` returns.
    example: inputs (2, K, D), (2,) and (2, K) by which it can be traced, by their names.
    """

    def __init__(
        self,
        model: Model,
        slots: int,
        requested: int,
        one_label: bool,
        width: int,
        dtype: torch.dtype,
    ) -> None:
        """requested: the `slots` of its clips; one_label: whether classes exclude one another."""
        super().__init__()
        self.model, self.slots, self.requested, self.one_label = model, slots, requested, one_label
        stops = () if model.exit_policy is None else ("used",)
        self.outputs = ("logits", "probabilities", *stops)
        self.example: Mapping[str, Tensor] = {
            "frames": torch.zeros(2, slots, width, dtype=dtype),
            "lengths": torch.tensor([slots, 1]),
            "times": torch.arange(slots).repeat(2, 1),
        }

    def forward(self, frames: Tensor, lengths: Tensor, times: Tensor) -> tuple[Tensor, ...]:
        """Scores B videos.

        frames: (B, K, D) as they are stored, of which the first `lengths` (B,) int64 of each video
            are real; what the others hold plays no part.
        times: (B, K) int64, the number of each frame in its video, -1 where there is none.

        Returns logits and probabilities, (B, C) both, and `used` (B,) int64, the frames after which
        each video stopped, of a network that may stop early. Every exit is computed.
        """
        clips = Clips(frames, lengths, times, self.requested)
        policy, used = self.model.exit_policy, None
        if policy is None:
            logits = self.model(clips).logits
        else:
            for output, _ in self.model.from_exit_to_exit(self.model.decoded(clips, None), policy):
                logits, used = output.logits, output.used
        probabilities = logits.softmax(1) if self.one_label else logits.sigmoid()
        return (logits, probabilities) if used is None else (logits, probabilities, used)


def deployed(network: nn.Module, example: Clips, about: Mapping[str, Any]) -> Deployed:
    """Makes the deployed form of a network; the network stays as it is.

    example, about: as `Exporter.export` is given them. It computes in float32, on the CPU. Raises
    `NotApplicableError` where the network has no such form.
    """
    if not isinstance(network, Model):
        raise NotApplicableError([f"{type(network).__name__} is not a network of distillbench"])
    if network.selector is not None:
        raise NotApplicableError(
            [
                f"the learned selector {type(network.selector).__name__} is a part of the network,"
                " which takes all frames of a video and then chooses: there is no form of it with"
                " a fixed number of frames"
            ]
        )
    model = copy.deepcopy(network).to("cpu").eval()
    model.precision = "fp32"
    for weight in model.parameters():
        weight.requires_grad_(False)
    _make_static(model)
    one_label = about.get("label_kind") == "single-label"
    width, dtype = example.frames.shape[2], example.frames.dtype
    made = Deployed(model, int(about["frames"]), example.slots, one_label, width, dtype)
    return made.eval()


def _make_static(module: nn.Module) -> None:
    """Puts in the place of modules what they offer for shapes that no length decides."""
    for name, inner in module.named_children():
        offered: Any = getattr(inner, "with_static_shapes", None)
        if offered is not None:
            setattr(module, name, offered().eval())
        else:
            _make_static(inner)


def traced(network: Deployed) -> torch.export.ExportedProgram:
    """Traces a deployed network, for any number of videos.

    Raises `NotApplicableError` with the reason where it cannot be traced.
    """
    batch = torch.export.Dim("videos")
    inputs = {name: network.example[name] for name in INPUTS}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # Known and of no consequence: nn.LSTM and nn.GRU list their weights anew when called.
            warnings.filterwarnings(
                "ignore", r"The tensor attributes .* were assigned during export"
            )
            return torch.export.export(
                network, (), inputs, dynamic_shapes={name: {0: batch} for name in inputs}
            )
    except Exception as error:  # whatever a plugin's module raises when it is given no numbers
        raise NotApplicableError(
            [
                f"the network cannot be traced: {type(error).__name__}: {_first_words(error)}. What"
                " is exported keeps the number of videos open, by tensor.shape[0] and not"
                " len(tensor), and a module whose shapes depend on the lengths of videos offers"
                " with_static_shapes()"
            ]
        ) from error


def _first_words(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")


def inputs_of(clips: Clips, slots: int, names: Sequence[str] = INPUTS) -> dict[str, Tensor]:
    """Lays clips out as inputs of a deployed network, padded to its slots; those that are named."""
    more = slots - clips.frames.shape[1]
    inputs = {
        "frames": pad(clips.frames, (0, 0, 0, more)),
        "lengths": clips.lengths,
        "times": pad(clips.times, (0, more), value=NO_FRAME),
    }
    return {name: inputs[name] for name in names}
