"""Logs runs to Trackio: settings, every epoch, test metrics.

Needs `pip install 'distillbench[trackio]'`; `trackio show --project distillbench` shows them. Where
it logs to is Trackio's own business: $TRACKIO_DIR, or its folder in the cache of Hugging Face.
Nothing is sent anywhere, unless $TRACKIO_SPACE_ID or $TRACKIO_SERVER_URL names a place.
$TRACKIO_PROJECT names the project. The step counts epochs over all phases. A run that is made again
or goes on is a run of its own there, of the same name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import EpochEnded, RunEnded, RunStarted

_open: dict[str, Any] = {}
"""Trackio's run that goes on, by distillbench's key."""


@hookimpl
def run_started(run: RunStarted) -> None:
    """Opens a run with every setting, by which Trackio closes one that failed and is still open."""
    trackio = _library()
    _open.clear()
    with redirect_stdout(StringIO()):
        _open[run.key] = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT", "distillbench"),
            name=run.key,
            config=dict(run.spec),
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )


@hookimpl
def epoch_ended(run: RunStarted, event: EpochEnded) -> None:
    """Logs every loss term, every validation metric and the learning rate."""
    row = event.row
    values = {"phase": row["phase"], "epoch": row["epoch"], "learning_rate": row["learning_rate"]}
    for network, found in row["networks"].items():
        for kind in ("terms", "validation"):
            for name, value in found[kind].items():
                values[f"{row['phase']}/{network}.{name}"] = value
    _log(run, values, _step(run, row))


@hookimpl
def run_ended(run: RunStarted, event: RunEnded) -> None:
    """Logs the metrics of the test split at the last step and closes the run."""
    history = event.result["history"]
    metrics = {f"test/{name}": value for name, value in event.result["metrics"].items()}
    _log(run, metrics, _step(run, history[-1]) if history else 0)
    del _open[run.key]
    with redirect_stdout(StringIO()):
        # The library's, not the run's: what is left open to it is closed, and told, at exit.
        _library().finish()


def _library() -> Any:
    try:
        import trackio
    except ImportError as error:
        raise ConfigError(
            ["the observer 'trackio' needs Trackio: pip install 'distillbench[trackio]'"]
        ) from error
    return trackio


def _log(run: RunStarted, values: Mapping[str, Any], step: int) -> None:
    _open[run.key].log({name: value for name, value in values.items() if value is not None}, step)


def _step(run: RunStarted, row: Mapping[str, Any]) -> int:
    """Counts the epochs up to an epoch of a phase, those of the phases before it included."""
    phases = run.spec["phases"]
    names = [phase["name"] for phase in phases]
    before = phases[: names.index(row["phase"])]
    return int(sum(phase["epochs"] for phase in before)) + int(row["epoch"])
