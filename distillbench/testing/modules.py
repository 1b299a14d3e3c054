"""Promises that several kinds of modules make, written once."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from distillbench.storage import load_tensors, save_tensors
from distillbench.testing.promises import expect, largest_difference, seeded

CLOSE = 1e-4
"""How far two computations of the same thing may be apart, relative to their scale."""


def same(ours: Tensor, theirs: Tensor, what: str, tolerance: float = CLOSE) -> None:
    """Raises `Broken` where two tensors differ."""
    apart = largest_difference(ours, theirs)
    expect(apart <= tolerance, f"{what}: {apart:.2g} apart, of which {tolerance:g} is allowed")


def draw(count: int, like: Tensor) -> Tensor:
    """Draws fixed random directions, to make one number of an output whose every part counts."""
    return torch.randn(count, like.shape[-1], generator=torch.Generator().manual_seed(3)).to(
        like.dtype
    )


def all_weights_learn(module: nn.Module, value: Tensor) -> None:
    """Raises `Broken` where a weight gets no gradient, or one that is zero or no number."""
    value.backward()  # type: ignore[no-untyped-call]
    for name, weight in module.named_parameters():
        expect(weight.requires_grad, f"{name} is switched off")
        expect(weight.grad is not None, f"{name} got no gradient")
        assert weight.grad is not None
        expect(weight.grad.isfinite().all(), f"{name} got a gradient that is not finite")
        expect(weight.grad.abs().max() > 0, f"{name} got a gradient of zeros")


def survives_storage(
    first: nn.Module, second: nn.Module, run: Callable[[nn.Module], Tensor]
) -> None:
    """Raises `Broken` where stored weights, loaded into another build, give another module."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        save_tensors(path, first.state_dict())
        second.load_state_dict(load_tensors(path)[0])
    same(run(second), run(first), "a stored and loaded copy's output", 1e-6)


def is_unchanged(module: nn.Module, run: Callable[[nn.Module], Tensor]) -> None:
    """Raises `Broken` where a frozen module lets a gradient through or moves."""
    module.eval().requires_grad_(False)
    before = copy.deepcopy(module.state_dict())
    output = run(module)
    expect(not output.requires_grad, "its output requires a gradient")
    for name, value in module.state_dict().items():
        expect(torch.equal(value, before[name]), f"{name} moved")


def repeats(module: nn.Module, run: Callable[[nn.Module], Tensor]) -> None:
    """Raises `Broken` where evaluation depends on chance."""
    module.eval()
    made = []
    for seed in (1, 2):
        with seeded(seed), torch.no_grad():
            made.append(run(module))
    same(made[0], made[1], "two evaluations of the same input", 1e-7)
