"""Logs runs to MLflow: parameters, a step for each epoch, test metrics, the result file.

Needs `pip install 'distillbench[mlflow]'`. Where it logs to is MLflow's own business:
$MLFLOW_TRACKING_URI, such as sqlite:///mlflow.db, and $MLFLOW_EXPERIMENT_NAME; without them, its
default store in the current folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from distillbench import hookimpl
from distillbench.interfaces import EpochEnded, RunEnded, RunStarted

_EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
_open: dict[str, str] = {}
"""By distillbench's id of a run: MLflow's."""


def _client() -> Any:
    import mlflow

    return mlflow.MlflowClient()


@hookimpl
def run_started(run: RunStarted) -> None:
    """Opens a run in MLflow and logs every setting."""
    client, name = _client(), os.environ.get(_EXPERIMENT, "distillbench")
    experiment = client.get_experiment_by_name(name)
    key = experiment.experiment_id if experiment else client.create_experiment(name)
    _open[run.key] = client.create_run(key, run_name=run.key).info.run_id
    for setting, value in _flat(run.spec):
        client.log_param(_open[run.key], setting, str(value)[:500])


@hookimpl
def epoch_ended(event: EpochEnded) -> None:
    """Logs every loss term and validation metric; the step is the phase's epoch."""
    client, row = _client(), event.row
    for network, found in row["networks"].items():
        for kind in ("terms", "validation"):
            for name, value in found[kind].items():
                metric = f"{row['phase']}.{network}.{name}"
                client.log_metric(_open[event.key], metric, value, step=row["epoch"])


@hookimpl
def run_ended(event: RunEnded) -> None:
    """Logs the metrics of the test split and closes the run."""
    client, key = _client(), _open.pop(event.key)
    for name, value in event.result["metrics"].items():
        if isinstance(value, (int, float)):
            client.log_metric(key, f"test.{name}", float(value))
    client.set_terminated(key)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
