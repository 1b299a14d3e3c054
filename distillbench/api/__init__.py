"""distillbench from Python: what the command line does, as functions that return what they found.

`import distillbench` offers these names lazily, so that importing it takes no time.
"""

from distillbench.analysis.board import leaderboard
from distillbench.api.comparing import compare, contrasts
from distillbench.api.predicting import predict, predictor
from distillbench.api.requests import (
    RunRequest,
    SweepRequest,
    request_run,
    request_sweep,
    run,
    sweep,
)
from distillbench.api.stored import Run, load, publish
from distillbench.api.tuning import TunedArm, TuneRequest, request_tune, tune
from distillbench.experiments.network_description import network_from
from distillbench.results.failures import Failure

__all__ = [
    "Failure",
    "Run",
    "RunRequest",
    "SweepRequest",
    "TuneRequest",
    "TunedArm",
    "compare",
    "contrasts",
    "leaderboard",
    "load",
    "network_from",
    "predict",
    "predictor",
    "publish",
    "request_run",
    "request_sweep",
    "request_tune",
    "run",
    "sweep",
    "tune",
]
