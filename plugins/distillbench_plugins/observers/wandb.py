"""Logs runs for Weights & Biases to RESULTS/wandb: settings, every epoch, test metrics.

Needs `pip install 'distillbench[wandb]'`. Nothing is sent anywhere, unless $WANDB_MODE is `online`;
`wandb sync FOLDER` sends a run later. $WANDB_PROJECT names the project. A run that is made again or
goes on is a run of its own there, of the same name.
"""

from __future__ import annotations

import os
from typing import Any

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import EpochEnded, RunEnded, RunStarted

_open: dict[str, Any] = {}
"""The run of Weights & Biases that goes on, by distillbench's key."""


@hookimpl
def run_started(run: RunStarted) -> None:
    """Opens a run with every setting; one that is open still has failed."""
    wandb = _library()
    while _open:
        _open.popitem()[1].finish(exit_code=1)
    run.results.mkdir(parents=True, exist_ok=True)
    opened = wandb.init(
        dir=str(run.results),
        project=os.environ.get("WANDB_PROJECT", "distillbench"),
        name=run.key,
        config=dict(run.spec),
        mode=os.environ.get("WANDB_MODE", "offline"),
        reinit="create_new",
        settings=wandb.Settings(console="off", silent=True),
    )
    opened.define_metric("*", step_metric="epoch")
    _open[run.key] = opened


@hookimpl
def epoch_ended(event: EpochEnded) -> None:
    """Logs every loss term, every validation metric and the learning rate."""
    row = event.row
    values = {"phase": row["phase"], "epoch": row["epoch"], "learning_rate": row["learning_rate"]}
    for network, found in row["networks"].items():
        for kind in ("terms", "validation"):
            for name, value in found[kind].items():
                if value is not None:
                    values[f"{row['phase']}/{network}.{name}"] = value
    _open[event.key].log(values)


@hookimpl
def run_ended(event: RunEnded) -> None:
    """Puts the metrics of the test split into the summary and closes the run."""
    opened = _open.pop(event.key)
    metrics = event.result["metrics"].items()
    opened.summary.update({f"test/{name}": value for name, value in metrics if value is not None})
    opened.finish()


def _library() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise ConfigError(
            ["the observer 'wandb' needs Weights & Biases: pip install 'distillbench[wandb]'"]
        ) from error
    return wandb
