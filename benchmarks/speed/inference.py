"""How long does the student take for one video? `python benchmarks/speed/inference.py` writes `benchmarks/speed/inference.csv`.

Batch 1, the student alone (dequantisation, encoder and, where it says so, head), at the paper's size: 1152-wide frames,
cell 1024, two layers, a mixture of two experts over 3,862 classes. The peer is the same network built of `nn.LSTM` and
the same head. int8 is what `distillbench quantize` evaluates. The limit is one reading of all weights that a pass
needs, at the rate at which this machine reads memory once (a sum over 400 MB).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from distillbench.evaluation.quantization import quantized, weight_bytes
from distillbench.interfaces import Clips, Codec, Head
from distillbench.networks import Model
from distillbench_plugins.encoders.hrnn import StudentHRNN, TeacherHRNN
from distillbench_plugins.heads.moe import MixtureOfExperts
from measuring import Row, compared, interleaved, keep

WIDTH, CELL, CLASSES, FRAMES, REPEATS = 1152, 1024, 3862, 300, 15
TARGETS = {"k = 6": 5.0}


class Plain(nn.Module):
    """The hierarchical RNN of `nn.LSTM`s: blocks folded into the batch, final states concatenated."""

    def __init__(
        self, block: int, head: nn.Module, *, width: int = WIDTH, cell: int = CELL
    ) -> None:
        super().__init__()
        self.block, self.head, self.width, self.cell = block, head, width, cell
        self.lower = nn.LSTM(width, cell, 2, batch_first=True)
        self.higher = nn.LSTM(4 * cell, cell, 2, batch_first=True)

    def forward(self, clips: Clips) -> Tensor:
        """Decodes and scores videos that are as long as one another, in whole blocks."""
        frames = Codec().decode(clips).frames
        codes = _final(self.lower(frames.reshape(-1, self.block, self.width))[1]).reshape(
            len(frames), -1, 4 * self.cell
        )
        logits: Tensor = self.head(_final(self.higher(codes)[1]))
        return logits


class Passed(Head):
    """No head: what is measured is the encoder."""

    def forward(self, summary: Tensor) -> Tensor:
        """Returns the encoding as it is."""
        return summary


def _final(states: tuple[Tensor, Tensor]) -> Tensor:
    h, c = states
    return torch.cat([c[0], h[0], c[1], h[1]], 1)


def measured(
    name: str, k: int, block: int, encoder: nn.Module, head: nn.Module, with_head: str
) -> list[Row]:
    """Returns a row in fp32 and one in int8."""
    frames = torch.randint(0, 256, (1, k, WIDTH), dtype=torch.uint8)
    clips = Clips(frames, torch.tensor([k]), torch.arange(k)[None], k)
    ours = Model(encoder, head, Codec()).eval()  # type: ignore[arg-type]
    small, plain = quantized(ours), Plain(block, head).eval()
    memory = torch.ones(100_000_000)
    contenders: dict[str, Callable[[], object]] = {
        "plain": lambda: plain(clips),
        "fp32": lambda: ours(clips),
        "int8": lambda: small(clips),
        "reading": lambda: memory.sum(),
    }
    with torch.inference_mode():
        medians = interleaved(contenders, REPEATS)
    rate = memory.nbytes / medians["reading"]
    return [
        compared(
            f"inference, one video, {name}, {precision}{with_head}",
            "ms",
            1e3 * medians[precision],
            peer=("nn.LSTM fp32", 1e3 * medians["plain"]),
            limit=("weights read once", 1e3 * weight_bytes(model) / rate),
            target=TARGETS.get(name, float("nan"))
            if precision == "fp32" and not with_head
            else float("nan"),
            runs=REPEATS,
        )
        for precision, model in (("fp32", ours), ("int8", small))
    ]


def main() -> None:
    torch.manual_seed(0)
    head = MixtureOfExperts(4 * CELL, CLASSES)
    rows: list[Row] = []
    for name, k, block, kind in (
        ("k = 6", 6, 3, StudentHRNN),
        ("k = 30", 30, 5, StudentHRNN),
        ("teacher, 300 frames", FRAMES, 20, TeacherHRNN),
    ):
        rows += measured(name, k, block, kind(WIDTH), Passed(), "")
        if k == 6:
            rows += measured(name, k, block, kind(WIDTH), head, ", with its head")
    keep(rows, Path(__file__).with_suffix(".csv"))


if __name__ == "__main__":
    main()
