"""Logs runs for TensorBoard to RESULTS/tensorboard/RUN: settings, every epoch, test metrics.

Needs `pip install 'distillbench[tensorboard]'`; `tensorboard --logdir RESULTS/tensorboard` shows
them. The step counts epochs over all phases. A run that is made again replaces its points, one that
goes on keeps them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import EpochEnded, RunEnded, RunStarted

_open: dict[str, Any] = {}
"""The writer of the run that goes on, by the run's key."""


@hookimpl
def run_started(run: RunStarted) -> None:
    """Looks for the library, and closes what a run that failed has left open."""
    _summary_writer()
    while _open:
        _open.popitem()[1].close()


@hookimpl
def epoch_ended(run: RunStarted, event: EpochEnded) -> None:
    """Writes every loss term, every validation metric and the learning rate."""
    row = event.row
    step = _step(run, row)
    writer = _writer(run, step)
    for network, found in row["networks"].items():
        _write(writer, {f"loss/{network}.{name}": v for name, v in found["terms"].items()}, step)
        scores = found["validation"].items()
        _write(writer, {f"validation/{network}.{name}": v for name, v in scores}, step)
    _write(writer, {"learning_rate": row["learning_rate"]}, step)
    writer.flush()


@hookimpl
def run_ended(run: RunStarted, event: RunEnded) -> None:
    """Writes the metrics of the test split at the last step."""
    history = event.result["history"]
    step = _step(run, history[-1]) if history else 0
    metrics = event.result["metrics"].items()
    # A run that was killed after its last epoch has no epoch to write again.
    _write(_writer(run, step + 1), {f"test/{name}": value for name, value in metrics}, step)
    _open.pop(run.key).close()


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            [
                "the observer 'tensorboard' needs TensorBoard:"
                " pip install 'distillbench[tensorboard]'"
            ]
        ) from error
    return SummaryWriter


def _writer(run: RunStarted, replaced: int) -> Any:
    """Returns the run's writer; a new one hides what earlier ones wrote from a step on."""
    if run.key not in _open:
        folder = run.results / "tensorboard" / run.key
        writer = _summary_writer()(str(folder), purge_step=replaced)
        settings = json.dumps(run.spec, indent=1, default=str).splitlines()
        # Four spaces make it code, so that no name in it is markup.
        writer.add_text("settings", "\n".join(f"    {line}" for line in settings), replaced)
        _open[run.key] = writer
    return _open[run.key]


def _step(run: RunStarted, row: Mapping[str, Any]) -> int:
    """Counts the epochs up to an epoch of a phase, those of the phases before it included."""
    phases = run.spec["phases"]
    names = [phase["name"] for phase in phases]
    before = phases[: names.index(row["phase"])]
    return int(sum(phase["epochs"] for phase in before)) + int(row["epoch"])


def _write(writer: Any, values: Mapping[str, Any], step: int) -> None:
    for name, value in values.items():
        if isinstance(value, (int, float)):
            writer.add_scalar(name, value, step)
