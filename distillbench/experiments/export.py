"""From a stored run to a file that serves without us.

Written, read back and compared before it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distillbench import __version__
from distillbench.config.run_spec import Choice
from distillbench.errors import ConfigError, PluginError, ResultError
from distillbench.evaluation.scores import logits_of
from distillbench.experiments.network_description import description
from distillbench.experiments.restore import RestoredRun, restore
from distillbench.interfaces import INTERFACE_VERSION, Clips, Exporter
from distillbench.registry.discovery import Component, Registry
from distillbench.registry.knobs import bind
from distillbench.results.store import Result
from distillbench.storage import write_atomically
from distillbench.training.views import selector_of
from distillbench.untrusted import quoted

TOLERANCE = 1e-4
"""By how much a logit of an exported network may differ."""

_VIDEOS, _BATCH = 256, 96
"""How many test videos are compared, and how many at once: the last batch is smaller."""


@dataclass(frozen=True)
class Exported:
    """A file that was kept.

    difference: the largest of any logit, on so many test videos.
    """

    path: Path
    difference: float
    videos: int


def export(
    result: Result,
    registry: Registry,
    name: str,
    path: Path,
    *,
    knobs: Mapping[str, object] | None = None,
    tolerance: float = TOLERANCE,
) -> Exported:
    """Exports a run's network, and keeps the file only if it gives the network's logits.

    Raises `ConfigError` where something cannot be as requested, `ResultError` where the file cannot
    be written or does not agree, `PluginError` where the exporter fails; nothing is left then, and
    what was there stays.
    """
    choice = _chosen(result, registry, name, path, knobs or {}, tolerance)
    exporter: Exporter = choice.build()
    found = restore(result, registry, "cpu")
    experiment, reported = found.experiment, found.experiment.spec.reports
    network, view = experiment.models[reported], experiment.evaluation_views[reported]
    with torch.inference_mode():
        expected = list(
            logits_of(network, experiment.splits.test, view, _BATCH, experiment.device, _VIDEOS)
        )
    described = about(found, result)
    component, differences = choice.component, list[float]()

    def write(draft: Path) -> None:
        _write(component, exporter, network, expected[0][0], described, draft)
        differences.append(_compare(component, exporter, draft, expected))
        if not differences[0] <= tolerance:
            raise ResultError(
                f"what {component.title} wrote does not agree with run {result.id}: its logits"
                f" differ by up to {differences[0]:.3g}, and {tolerance:g} is allowed; '{path}' was"
                " not written"
            )

    write_atomically(path, write)
    return Exported(path, differences[0], sum(len(logits) for _, logits in expected))


def _chosen(
    result: Result,
    registry: Registry,
    name: str,
    path: Path,
    knobs: Mapping[str, object],
    tolerance: float,
) -> Choice:
    """Checks what was requested before anything is built."""
    component = registry.find("exporter", name)
    if component is None:
        raise ConfigError([registry.missing("exporter", name)])
    values, problems = bind(component.cls, knobs, f"exporter {name}")
    suffix: str = getattr(component.cls, "suffix", "")
    if not path.name.endswith(suffix) or path.name == suffix:
        problems.append(f"--out: a file of the exporter '{name}' ends in {suffix}; found '{path}'")
    if path.is_dir():
        problems.append(f"--out: '{path}' is a folder; name a file")
    if not path.parent.is_dir():
        problems.append(f"--out: there is no folder '{path.parent}'; make it first")
    if not 0 <= tolerance < float("inf"):
        problems.append(f"--tolerance takes a number of at least 0; found {tolerance:g}")
    source = result.record.quantized_from
    if source:
        problems.append(f"run {result.id} is in 8 bits and was never trained so; export {source}")
    if problems:
        raise ConfigError(problems)
    return Choice(component, values)


def _write(
    component: Component,
    exporter: Exporter,
    network: nn.Module,
    example: Clips,
    described: Mapping[str, Any],
    draft: Path,
) -> None:
    with component.guarded():
        try:
            exporter.export(network, example, described, draft)
        except OSError as error:  # a full disk is not the exporter's fault
            raise ResultError(f"the export cannot be written: {error.strerror or error}") from error
    if not draft.is_file() or not draft.stat().st_size:
        raise PluginError(f"{component.title} wrote no file")


def _compare(
    component: Component, exporter: Exporter, draft: Path, expected: list[tuple[Clips, Tensor]]
) -> float:
    """Returns the largest difference of a logit; not a number where one of them is none."""
    with component.guarded(), torch.inference_mode():
        loaded: Callable[[Clips], Tensor] = exporter.load(draft)
        largest = 0.0
        for clips, logits in expected:
            again = loaded(clips)
            if not isinstance(again, Tensor) or again.shape != logits.shape:
                shape = tuple(again.shape) if isinstance(again, Tensor) else quoted(again)
                raise PluginError(
                    f"what {component.title} loads makes {shape} of clips; logits"
                    f" {tuple(logits.shape)} were expected"
                )
            difference = float((again.cpu().double() - logits.double()).abs().max())
            largest = difference if difference != difference else max(largest, difference)
    return largest


def about(found: RestoredRun, result: Result) -> dict[str, Any]:
    """Describes a run's network for whoever will use it, as JSON would hold it."""
    spec, experiment, train = found.experiment.spec, found.experiment, found.experiment.splits.train
    reported, model = spec.reports, experiment.models[spec.reports]
    selector = selector_of(spec, spec.view(reported).selector, training=False)
    is_projected = spec.networks[reported].width_of is not None
    return {
        "format": 1,
        "distillbench": __version__,
        "interface": INTERFACE_VERSION,
        "run": result.id,
        "network": reported,
        **description(
            spec.encoder(reported),
            spec.head,
            train.features,
            train.codec,
            train.labels.count,
            train.class_names,
            experiment.precision,
            {
                "learned_selector": None if model.selector is None else selector.describe(),
                "exit_policy": None if spec.exit_policy is None else spec.exit_policy.describe(),
                "projected_to": experiment.shapes[reported].summary if is_projected else None,
            },
        ),
        "selector": selector.describe(),
        "k": experiment.evaluation_views[reported].slots,
        "seed": spec.seed,
        "metrics": dict(result.record.metrics),
    }
