"""How fast is our LSTM against `nn.LSTM`? Run `python benchmarks/speed/lstm.py`; writes `benchmarks/speed/lstm.csv`.

A row is one pass over the same frames, with weights drawn alike: `training` forward and backward, `inference` forward
alone. The limit is the time that the bare matrix products would take, one after the other, at the rate at which matrices
of the same layer are multiplied here, by `torch.mm` or by oneDNN, whichever is faster: which one that is depends on the
processor. bf16 is left out where the processor has no bf16 instructions: there it is emulated. `--csv` writes to another
file, one for each family of processors.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from distillbench.networks import has_bf16
from distillbench_plugins.layers.lstm import LSTM
from measuring import Row, compared, interleaved, keep

SIZES = {  # name: batch, steps, input, cell, layers, repeats
    "paper, blocks of 20": (256, 20, 1152, 1024, 2, 3),
    "paper, blocks of 5": (256, 5, 1152, 1024, 2, 7),
    "small (cell 64)": (256, 20, 64, 64, 2, 25),
}
TARGETS = {"fp32": 2.0, "bf16": 1 / 0.9}


def passes(size: tuple[int, ...], precisions: list[str]) -> dict[str, Callable[[], object]]:
    """Returns what runs one pass, by contender and mode; the limit's is a bare product of the first layer."""
    batch, steps, width, cell, layers, _ = size
    plain = nn.LSTM(width, cell, layers)
    ours = LSTM(width, cell, layers, init="default")
    frames = torch.randn(steps, batch, width)
    packed, sizes = frames.flatten(0, 1), [batch] * steps

    def run_plain() -> Tensor:
        return plain(frames)[0][-1].sum()

    def run_ours() -> Tensor:
        return ours(packed, sizes)[-1].hidden[-batch:].sum()

    found: dict[str, Callable[[], object]] = {}
    for name, forward in (("nn.LSTM", run_plain), ("ours", run_ours)):
        for precision in precisions:
            found[f"{name} training {precision}"] = lambda f=forward, p=precision: trained(f, p)  # type: ignore[misc]
        found[f"{name} inference fp32"] = lambda f=forward: inferred(f)  # type: ignore[misc]
    return found | products(packed, torch.randn(4 * cell, width))


def products(packed: Tensor, weight: Tensor) -> dict[str, Callable[[], object]]:
    """Returns the product of the first layer's inputs (P, D) and its weights (4H, D), by library."""
    found: dict[str, Callable[[], object]] = {
        "product torch.mm": lambda: torch.mm(packed, weight.t()),
    }
    if torch.backends.mkldnn.is_available():
        one_dnn = torch.ops.mkldnn._linear_pointwise
        found["product oneDNN"] = lambda: one_dnn(packed, weight, None, "none", [], "")
    return found


def trained(forward: Callable[[], Tensor], precision: str) -> None:
    """Runs a forward and backward pass."""
    with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext():
        value = forward()
    value.backward()  # type: ignore[no-untyped-call]


def inferred(forward: Callable[[], Tensor]) -> None:
    """Runs a forward pass without gradient."""
    with torch.inference_mode():
        forward()


def measured(name: str, precisions: list[str]) -> list[Row]:
    """Returns a row for each mode at one size."""
    batch, steps, width, cell, layers, repeats = SIZES[name]
    medians = interleaved(passes(SIZES[name], precisions), repeats)
    times = {each: medians.pop(each) for each in list(medians) if each.startswith("product ")}
    library = min(times, key=lambda each: times[each])
    rate = batch * steps * width * 4 * cell / times[library]
    limit = f"bare products, {library.removeprefix('product ')}"
    macs = (
        batch * steps * sum((below + cell) * 4 * cell for below in (width, *[cell] * (layers - 1)))
    )
    macs -= batch * layers * cell * 4 * cell  # no product with the zero state
    rows = []
    for mode in [
        contender.removeprefix("ours ") for contender in medians if contender.startswith("ours")
    ]:
        kind, precision = mode.split()
        seconds = macs * (3 if kind == "training" else 1) / rate
        rows.append(
            compared(
                f"LSTM {mode}, {name}",
                "ms",
                1e3 * medians[f"ours {mode}"],
                peer=("nn.LSTM", 1e3 * medians[f"nn.LSTM {mode}"]),
                limit=(limit, 1e3 * seconds) if precision == "fp32" else None,
                target=TARGETS[precision]
                if kind == "training" and name.startswith("paper")
                else float("nan"),
                runs=repeats,
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--csv", default="lstm.csv", help="file beside this one, to be written")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    precisions = ["fp32", "bf16"] if has_bf16(torch.device("cpu")) else ["fp32"]
    keep(
        [row for size in SIZES for row in measured(size, precisions)],
        Path(__file__).with_name(arguments.csv),
    )


if __name__ == "__main__":
    main()
