"""Where a run happens: its folder of results, its device and its threads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from distillbench.config.run_spec import RunSpec
from distillbench.data.remote.block_cache import block_cache
from distillbench.distributed.processes import SINGLE, Processes
from distillbench.errors import ConfigError
from distillbench.interfaces import Splits
from distillbench.training.build import open_data
from distillbench.training.output_cache import BUDGET


@dataclass(frozen=True)
class RunContext:
    """Where a run happens: its device, the folder of results, and what is made again.

    results: stored teachers and checkpoints lie in folders below it.
    retrain: whether stored teachers are trained again.
    again: whether a run that has a result is made again.
    runs_beside: how many other runs may go on at the same time, because they slow down what is
    measured.
    observers: the plugins that get the events of the run.
    processes: those that make the run together.
    bounds: by run key, the quality on validation videos that the reported network must have reached
        by each epoch of the last phase, or the run is stopped; the higher the better.
    cache_dir: folder where blocks of shards by URL are cached; empty for the usual one.
    cache_budget: bytes of a frozen teacher's outputs that are cached below its folder, and as many
    of such blocks; they change how long a run takes, not its result.
    """

    results: Path
    device: str = "auto"
    retrain: bool = False
    again: bool = False
    runs_beside: int = 0
    observers: tuple[str, ...] = ()
    processes: Processes = SINGLE
    cache_dir: str = ""
    cache_budget: int = BUDGET
    bounds: Mapping[str, Sequence[float]] = field(default_factory=dict)


def open_for(spec: RunSpec, context: RunContext) -> Splits:
    """Opens the data of a run, with the cache that the context has for what is not here."""
    with block_cache(context.cache_dir, context.cache_budget):
        return open_data(spec)


def prepare_machine(spec: RunSpec, context: RunContext) -> torch.device:
    """Sets the number of threads of a run, and returns its device.

    Raises `ConfigError` where the machine does not have them.
    """
    check_threads(spec)
    device = find_device(context.device)
    use_threads(spec, context.processes)
    return device


def check_threads(spec: RunSpec) -> None:
    """Raises `ConfigError` where a run needs more threads than the machine has cores."""
    cores = os.cpu_count() or 1
    if spec.training.all_threads > cores:
        raise ConfigError(
            [
                f"training.threads = {spec.training.threads} is more than this machine has; it has"
                f" {cores} cores"
            ]
        )


def use_threads(spec: RunSpec, processes: Processes = SINGLE) -> None:
    """Gives torch as many processor threads as the spec has.

    Processes on one machine share them.
    """
    torch.set_num_threads(max(1, spec.training.all_threads // processes.local_world_size))


def find_device(requested: str, *, here: bool = True) -> torch.device:
    """Turns `auto`, `cpu` or `cuda` into a device; raises `ConfigError` where it is not there.

    here: whether it is to be used on this machine; one that is named is else believed.
    """
    if requested not in ("auto", "cpu", "cuda"):
        raise ConfigError([f"--device takes auto, cpu or cuda; found '{requested}'"])
    if requested == "cuda" and not here:
        return torch.device("cuda")
    has_gpu = torch.cuda.is_available()
    if requested == "cuda" and not has_gpu:
        raise ConfigError(
            [
                "--device cuda was requested, and no GPU that torch can use was found; --device cpu"
                " runs without"
            ]
        )
    return torch.device("cuda" if requested != "cpu" and has_gpu else "cpu")
