"""From a stored run to a file that serves without us.

Written, read back and compared before it is kept.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
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
from distillbench.experiments.exported_row import ExportedRow, row_of, runtime_of, store_row
from distillbench.experiments.network_description import description
from distillbench.experiments.restore import RestoredRun, restore
from distillbench.interfaces import INTERFACE_VERSION, Clips, Exporter
from distillbench.registry.discovery import Component, Registry
from distillbench.registry.knobs import bind
from distillbench.results.schema import StoredExport
from distillbench.results.store import Result
from distillbench.storage import write_atomically, write_text
from distillbench.training.callbacks import SILENT, Observer
from distillbench.training.views import longest_of, selector_of
from distillbench.untrusted import quoted

TOLERANCE = 1e-4
"""By how much a logit of an exported network may differ, where it computes in float32."""

MOST_LOSS = 0.01
"""By how much the first metric of the data may be worse on the test videos."""

_VIDEOS, _BATCH = 256, 96
"""How many test videos are compared, and how many at once: the last batch is smaller."""


@dataclass(frozen=True)
class Limits:
    """How far an exported file may be from its network.

    tolerance: the largest difference of a logit; not looked at for lower precisions than fp32.
    loss: by how much the first metric may be worse; looked at where there is a runtime.
    """

    tolerance: float = TOLERANCE
    loss: float = MOST_LOSS


@dataclass(frozen=True)
class Exported:
    """A file that was kept.

    difference: the largest of any logit, on so many test videos.
    readme: the file beside it that says how to use it, if there is one.
    row: how the file does on the test split, where the exporter names a runtime.
    """

    path: Path
    difference: float
    videos: int
    readme: Path | None = None
    row: Result | None = None


def export(
    result: Result,
    registry: Registry,
    name: str,
    path: Path,
    *,
    knobs: Mapping[str, object] | None = None,
    limits: Limits = Limits(),
    keep_row: bool = False,
    observer: Observer = SILENT,
) -> Exported:
    """Exports a run's network, and keeps the file only if it does what the network does.

    keep_row: whether the row is stored beside the run's result, as `<key>-<exporter>`.

    Raises `ConfigError` where something cannot be as requested, `ResultError` where the file cannot
    be written or does not agree, `PluginError` where the exporter fails; nothing is left then, and
    what was there stays.
    """
    choice = _chosen(result, registry, name, path, knobs or {}, limits, keep_row)
    threads = torch.get_num_threads()
    torch.set_num_threads(result.record.machine.threads)
    try:
        attempt = _Attempt(choice.component, choice.build(), result, registry, path, limits)
        exported, row = attempt.make(restore(result, registry, "cpu"), observer)
    finally:
        torch.set_num_threads(threads)
    if row is None:
        return exported
    shown = store_row(row, result) if keep_row else row.result
    return dataclasses.replace(exported, row=shown)


@dataclass(frozen=True)
class _Attempt:
    """One export: who writes which run to where, and within which limits."""

    component: Component
    exporter: Exporter
    result: Result
    registry: Registry
    path: Path
    limits: Limits

    def make(self, found: RestoredRun, observer: Observer) -> tuple[Exported, ExportedRow | None]:
        """Writes the file and the readme beside it, if the file passes every check."""
        network, expected = self._expected(found)
        described = about(found, self.result)
        readme = self.path.with_name(f"{self.path.name}.README.md")
        made: list[tuple[Exported, ExportedRow | None]] = []

        def write(draft: Path) -> None:
            observer.message(f"writing {self.path.name}")
            _write(self.component, self.exporter, network, expected[0][0], described, draft)
            loaded = _load(self.component, self.exporter, draft)
            difference = _compare(self.component, loaded, expected)
            self._require_agreement(difference)
            row = self._row(draft, difference, loaded, found, observer)
            text = _readme(self.component, self.exporter, described, draft)
            if text:
                write_text(readme, text)
            videos = sum(len(logits) for _, logits in expected)
            made.append((Exported(self.path, difference, videos, readme if text else None), row))

        write_atomically(self.path, write)
        return made[0]

    def _expected(self, found: RestoredRun) -> tuple[nn.Module, list[tuple[Clips, Tensor]]]:
        """Returns the network, and what it makes of some test videos."""
        experiment, reported = found.experiment, found.experiment.spec.reports
        network, view = experiment.models[reported], experiment.evaluation_views[reported]
        if self.exporter.runtime:
            network.precision = "fp32"  # what is deployed computes in no other
        with torch.inference_mode():
            logits = logits_of(
                network, experiment.splits.test, view, _BATCH, experiment.device, _VIDEOS
            )
            return network, list(logits)

    def _require_agreement(self, difference: float) -> None:
        """Raises `ResultError` where a logit differs too much, or is not a number."""
        is_exact = self.exporter.precision == "fp32"
        if difference <= (self.limits.tolerance if is_exact else math.inf):
            return
        raise ResultError(
            f"what {self.component.title} wrote does not agree with run {self.result.id}: its"
            f" logits differ by up to {difference:.3g}, and {self.limits.tolerance:g} is allowed;"
            f" '{self.path}' was not written"
        )

    def _row(
        self,
        draft: Path,
        difference: float,
        loaded: Callable[[Clips], Tensor],
        found: RestoredRun,
        observer: Observer,
    ) -> ExportedRow | None:
        """Evaluates and times the file in its runtime, if it has one."""
        if not self.exporter.runtime:
            return None
        observer.message(
            f"evaluating {self.path.name} on the test split with {self.exporter.runtime}"
        )
        runtime, size = runtime_of(self.exporter), draft.stat().st_size
        file = StoredExport(self.component.name, runtime, size, difference)
        precision = self.exporter.precision
        row = row_of(file, precision, loaded, found, self.result, self.registry, observer)
        self._require_quality(row.result)
        return row

    def _require_quality(self, row: Result) -> None:
        """Raises `ResultError` where the first metric fell by more than it may."""
        judge = self.result.record.data.metrics[0]
        metric: Any = self.registry.find("metric", judge)
        sign = 1.0 if metric is None or metric.cls.higher_is_better else -1.0
        before, after = self.result.record.metrics[judge], row.record.metrics[judge]
        most = self.limits.loss
        if before is None or (after is not None and sign * (before - after) <= most):
            return
        title = judge if metric is None else metric.cls.title
        raise ResultError(
            f"what {self.component.title} wrote is worse than run {self.result.id}: {title}"
            f" {_number(after)} on the test videos, where the network had {_number(before)}, and a"
            f" loss of {most:g} is allowed; '{self.path}' was not written"
        )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _readme(
    component: Component, exporter: Exporter, described: Mapping[str, Any], path: Path
) -> str:
    with component.guarded():
        text = exporter.readme(described, path)
        if not isinstance(text, str):
            raise PluginError(f"{component.title} made a readme that is {quoted(text)}, not text")
    return text


def _chosen(
    result: Result,
    registry: Registry,
    name: str,
    path: Path,
    knobs: Mapping[str, object],
    limits: Limits,
    keep_row: bool,
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
    for flag, limit in (("--tolerance", limits.tolerance), ("--max-loss", limits.loss)):
        if not 0 <= limit < math.inf:
            problems.append(f"{flag} takes a number of at least 0; found {limit:g}")
    if keep_row and not getattr(component.cls, "runtime", ""):
        problems.append(f"--row: the exporter '{name}' names no runtime, so that there is no row")
    source = result.record.quantized_from
    if source:
        problems.append(f"run {result.id} is in 8 bits and was never trained so; export {source}")
    source = result.record.exported_from
    if source:
        problems.append(f"run {result.id} is an exported file's row; export {source}")
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


def _load(component: Component, exporter: Exporter, draft: Path) -> Callable[[Clips], Tensor]:
    with component.guarded():
        loaded = exporter.load(draft)
    if not callable(loaded):
        raise PluginError(f"{component.title} loads {quoted(loaded)}, which cannot be called")

    def logits(clips: Clips) -> Tensor:
        with component.guarded():
            again = loaded(clips)
        videos = len(clips.lengths)
        if not isinstance(again, Tensor) or again.dim() != 2 or len(again) != videos:
            shape = tuple(again.shape) if isinstance(again, Tensor) else quoted(again)
            raise PluginError(f"what {component.title} loads makes {shape} of {videos} clips")
        return again.cpu()

    return logits


def _compare(
    component: Component,
    loaded: Callable[[Clips], Tensor],
    expected: list[tuple[Clips, Tensor]],
) -> float:
    """Returns the largest difference of a logit; not a number where one of them is none."""
    largest = 0.0
    with torch.inference_mode():
        for clips, logits in expected:
            again = loaded(clips)
            if again.shape != logits.shape:
                raise PluginError(
                    f"what {component.title} loads makes {tuple(again.shape)} of clips; logits"
                    f" {tuple(logits.shape)} were expected"
                )
            difference = float((again.double() - logits.double()).abs().max())
            largest = difference if difference != difference else max(largest, difference)
    return largest


def about(found: RestoredRun, result: Result) -> dict[str, Any]:
    """Describes a run's network for whoever will use it, as JSON would hold it."""
    spec, experiment, train = found.experiment.spec, found.experiment, found.experiment.splits.train
    reported, model = spec.reports, experiment.models[spec.reports]
    selector = selector_of(spec, spec.view(reported).selector, training=False)
    is_projected = spec.networks[reported].width_of is not None
    data: Any = spec.data.component.cls
    slots, longest = experiment.evaluation_views[reported].slots, longest_of(experiment.splits)
    keeps = getattr(selector.component.cls, "keeps", "k")
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
            model.precision,
            {
                "learned_selector": None if model.selector is None else selector.describe(),
                "exit_policy": None if spec.exit_policy is None else spec.exit_policy.describe(),
                "projected_to": experiment.shapes[reported].summary if is_projected else None,
            },
        ),
        "label_kind": data.label_kind,
        "selector": {**selector.describe(), "rule": _first_paragraph(selector.component.cls)},
        "k": slots,
        "frames": longest if keeps == "all" else slots,
        "seed": spec.seed,
        "metrics": dict(result.record.metrics),
    }


def _first_paragraph(cls: type) -> str:
    return " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
