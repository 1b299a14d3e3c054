"""Latency: measured again where something disturbed it, and never trusted where something may have."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch

from distillbench.config.run_spec import RunSpec
from distillbench.evaluation.latency import measure
from distillbench.evaluation.steadiness import is_doubtful
from distillbench.training.build import assemble, open_data

CPU = torch.device("cpu")


def measured_with(
    monkeypatch: pytest.MonkeyPatch, spec: RunSpec, *seconds: float
) -> tuple[float, float, int]:
    """Measures a network while the clock says that the runs take so many seconds, the last one ever after."""
    parts = assemble(spec, open_data(spec), CPU)
    monkeypatch.setattr("distillbench.evaluation.latency._FEWEST", 10)
    now, left, is_end = 0.0, list(seconds), False

    def clock() -> float:
        nonlocal now, is_end
        if is_end:
            now += left.pop(0) if len(left) > 1 else left[0]
        is_end = not is_end
        return now

    monkeypatch.setattr(time, "perf_counter", clock)
    found = measure(
        parts.models["student"], parts.splits.test, parts.evaluation_views["student"], CPU, 1
    )
    return found.median, found.p95, found.rounds


def test_a_steady_latency_is_measured_once(
    make_spec: Callable[..., RunSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    median, p95, rounds = measured_with(monkeypatch, make_spec(), 0.5)
    assert (round(median, 6), round(p95, 6), rounds) == (0.5, 0.5, 1)


def test_a_disturbed_round_is_measured_again(
    make_spec: Callable[..., RunSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    disturbed = [1.0] * 8 + [9.0] * 2
    median, p95, rounds = measured_with(monkeypatch, make_spec(), *disturbed, 0.5)
    assert (round(median, 6), round(p95, 6), rounds) == (0.5, 0.5, 2)


def test_what_is_never_steady_keeps_its_spread(
    make_spec: Callable[..., RunSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    median, p95, rounds = measured_with(monkeypatch, make_spec(), *([0.1, 0.1, 0.1, 0.1, 0.9] * 20))
    assert (round(median, 6), round(p95, 6), rounds) == (0.1, 0.9, 3)
    assert is_doubtful(median, p95, runs_beside=0, load=None)


@pytest.mark.parametrize(
    ("p95", "runs_beside", "load", "doubtful"),
    [
        (1.2, 0, 0.5, False),
        (1.2, 0, None, False),
        (1.6, 0, 0.5, True),
        (1.2, 1, 0.5, True),
        (1.2, 0, 2.0, True),
    ],
)
def test_spread_neighbours_and_load_make_a_latency_doubtful(
    p95: float, runs_beside: int, load: float | None, doubtful: bool
) -> None:
    assert is_doubtful(1.0, p95, runs_beside, load) is doubtful
