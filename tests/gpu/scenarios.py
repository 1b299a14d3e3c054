"""Runs on the made-up GPU, each beside the same on the CPU: `python scenarios.py GROUP [NAME ...]` prints a line of JSON for each.

Of each run it prints what differs from the CPU's (nothing, if all is well), what waited for the GPU in
steps that check nothing, and the error, if there was one. A run that is refused is left out.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import made_up_gpu
import torch
from blobs import dataset
from running import installed

import distillbench
from distillbench.api import request_run
from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ConfigError, NotApplicableError
from distillbench.evaluation.metric_set import metrics_of
from distillbench.evaluation.quantization import weight_bytes
from distillbench.interfaces import Splits
from distillbench.registry.discovery import Component, Registry
from distillbench.training.build import Experiment, assemble
from distillbench.training.callbacks import Observer
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.loop import fit
from distillbench.training.step_time import seconds_a_step
from distillbench.training.teacher_store import TeacherStore

LABELS = {"multi-label": "ce", "single-label": "softmax-ce"}
DATA = {kind: dataset(kind, sizes=(12, 4, 4)) for kind in LABELS}
SPLITS: dict[str, Splits] = {kind: cls().splits() for kind, cls in DATA.items()}
REGISTRY = Registry(
    [*installed(), *(Component("data", kind, cls, "tests", "1") for kind, cls in DATA.items())],
    [],
    installed().hooks,
)
PRECISIONS = ("fp32", "bf16")


def spec_of(kind: str, precision: str = "fp32", **chosen: object) -> RunSpec:
    """Returns the spec of a small run of four steps an epoch, with components of the size of a test."""
    settings: dict[str, object] = {
        "data": kind,
        "teacher": "hrnn",
        "student": "hrnn",
        "schedule": "serial",
        "head": "logistic",
        "selector": "uniform",
        "k": 3,
    } | chosen
    assignments = [
        f"training.{name}"
        for name in ("epochs=1", "batch_size=3", "threads=1", f"precision={precision}")
    ]
    for section in ("student", "teacher", "schedule", "head", "selector"):
        component = REGISTRY.find(section, str(settings[section]))
        assert component, (section, settings[section])
        sizes = getattr(component.cls, "check_knobs", {})
        assignments += [f"{section}.{name}={value}" for name, value in sizes.items()]
    (spec,) = specs([flags(settings, assignments)], REGISTRY)
    return spec


class Steps(Observer):
    """Notes what waited for the device in steps that check no sums: all but the first of an epoch."""

    def __init__(self) -> None:
        self.waits: Counter[str] = Counter()
        self._before: Counter[str] | None = None
        self._steps = 0

    def step_ended(self) -> None:
        self._steps += 1
        if self._before is not None and self._steps > 2:
            self.waits += made_up_gpu.waits - self._before
        self._before = made_up_gpu.waits.copy()

    def epoch_ended(self, row: Any) -> None:
        self._before, self._steps = None, 0


def trained(spec: RunSpec, kind: str, device: torch.device) -> tuple[Experiment, Any, Steps]:
    """Trains a run; its teacher's outputs are cached in a folder that is gone afterwards."""
    experiment, steps = assemble(spec, SPLITS[kind], device), Steps()
    metrics = metrics_of(spec.data.component, REGISTRY)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder, "checkpoint.safetensors"), "")
        fitted = fit(experiment, metrics, TeacherStore(Path(folder)), checkpoints, steps)
    history = [{**row, "seconds": 0.0} for row in fitted.history]
    return experiment, history, steps


def compared(spec: RunSpec, kind: str) -> dict[str, Any]:
    """Trains a run on both devices."""
    on_cpu, rows, _ = trained(spec, kind, made_up_gpu.CPU)
    on_gpu, same_rows, steps = trained(spec, kind, made_up_gpu.CUDA)
    differing = [] if rows == same_rows else ["history"]
    for name, model in on_cpu.models.items():
        theirs = on_gpu.models[name].state_dict()
        for key, tensor in model.state_dict().items():
            if theirs[key].device != made_up_gpu.CUDA:
                differing.append(f"{name}.{key} is on {theirs[key].device}")
            elif not torch.equal(tensor, theirs[key].inner):
                differing.append(f"{name}.{key}")
    return {"differing": differing, "waits": dict(steps.waits)}


def attempted(**chosen: object) -> dict[str, Any] | None:
    """Trains a run on both devices, with labels of a kind that serves; None where it is refused."""
    for kind, label in LABELS.items():
        try:
            named = str(chosen.get("loss", "rep"))
            loss = named if REGISTRY.find("label-loss", named) else f"{named},{label}"
            return compared(spec_of(kind, **{**chosen, "loss": loss}), kind)
        except (ConfigError, NotApplicableError):
            continue
        except Exception:
            return {"error": traceback.format_exc().partition("registered at")[0][-1500:]}
    return None


def of_schedules() -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yields each schedule."""
    for name in sorted(installed().names("schedule")):
        yield name, {"schedule": name}


def of_losses() -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yields each loss, with the selector that it needs."""
    for found in installed():
        if found.kind in ("matching-loss", "label-loss"):
            reads = "selection" in found.cls.requirements.needs
            policy = "one-step-policy" if found.kind == "label-loss" else "scorer"
            selector = policy if reads else "uniform"
            yield found.name, {"loss": found.name, "selector": selector, "schedule": "parallel"}


def of_networks() -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yields each encoder, head and selector."""
    for name in sorted(installed().names("student")):
        yield f"encoder {name}", {"student": name, "teacher": name}
    for name in sorted(installed().names("head")):
        yield f"head {name}", {"head": name}
    for name in sorted(installed().names("selector")):
        yield f"selector {name}", {"selector": name}


def whole_run(precision: str) -> dict[str, Any]:
    """Makes a run by the Python API on both devices, with its cost and its latency."""
    settings = {
        "data": "synthetic",
        "data.videos": 40,
        "data.rgb": 6,
        "data.audio": 2,
        "data.classes": 5,
        "data.longest": 12,
        "teacher.cell_size": 8,
        "student.cell_size": 8,
        "training.epochs": 1,
        "training.batch_size": 8,
        "training.threads": 1,
        "training.precision": precision,
        "schedule": "serial",
        "k": 5,
    }
    found = []
    for device in ("cpu", "cuda"):
        with tempfile.TemporaryDirectory() as folder:
            distillbench.run(settings, results=folder, device=device)
            (path,) = Path(folder).glob("*.json")
            found.append(json.loads(path.read_text()))
    on_cpu, on_gpu = found
    planned = request_run(settings, device="cuda").dry_run()
    weights = weight_bytes(planned.models[planned.spec.reports])
    return {
        "differing": [part for part in ("metrics", "fidelity") if on_cpu[part] != on_gpu[part]],
        "machine": on_gpu["machine"],
        "memory_of_activations": on_gpu["cost"]["peak_memory"] - weights,
        "seconds_a_step": seconds_a_step(planned),
    }


def of_precisions() -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yields the usual schedule in each precision."""
    for precision in PRECISIONS:
        yield precision, {"precision": precision}


def outcomes(group: str, only: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields what became of each run of a group, or of some of them."""
    if group == "runs":
        for precision in PRECISIONS:
            yield precision, whole_run(precision)
        return
    groups = {
        "precisions": of_precisions,
        "schedules": of_schedules,
        "losses": of_losses,
        "networks": of_networks,
    }
    for name, chosen in groups[group]():
        if only and name not in only:
            continue
        outcome = attempted(**chosen)
        if outcome is not None:
            yield name, outcome


def main(group: str, only: Sequence[str]) -> None:
    made_up_gpu.install()
    made_up_gpu.STAGED = 100  # three videos are small: their frames must count as much
    for name, outcome in outcomes(group, only):
        print(json.dumps([name, outcome]), flush=True)
    print(json.dumps(["calls", made_up_gpu.calls]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
