"""Prints the plan of a run before it starts, and its result afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.progress import (
    BarColumn,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from distillbench.analysis.rows import row
from distillbench.cli.render.terminal import console, styled
from distillbench.config.run_spec import Choice, RunSpec
from distillbench.config.schedule_rules import teacher_of
from distillbench.interfaces import Copy, Follow, Freeze, Learner, Ramp, Term, Tie
from distillbench.networks import has_bf16
from distillbench.reports.amounts import count, latency
from distillbench.results.schema import StoredResult
from distillbench.results.store import Result
from distillbench.training.build import Experiment
from distillbench.training.step_time import seconds_a_step

notes = console(stderr=True)


def bar_columns(*counted: ProgressColumn) -> list[ProgressColumn]:
    """Lists the columns of a progress bar: what it is of, the bar, what is counted, the time left.

    What it is of may be anybody's text, and is no markup.
    """
    return [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        *counted,
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
    ]


def plan(spec: RunSpec) -> None:
    """Prints what will be run, and the source of each setting that is not a default."""
    title = f"plan {spec.key}"
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, choice in _components(spec).items():
        table.add_row(name, styled("{}  [dim]{}[/]", choice.name, _knobs(choice.knobs)))
    for phase in spec.phases:
        learners = "; ".join(_learner(name, learner) for name, learner in phase.learners.items())
        table.add_row(f"phase {phase.name}", f"{phase.epochs} epochs: {learners}")
    # The default losses are more than most schedules use; only losses that were requested matter.
    if spec.unused_losses and spec.sources["loss"] != "default":
        unused = ", ".join(spec.unused_losses)
        reason = f"the schedule {spec.schedule.name} gives these losses to no network"
        table.add_row("not used", f"{unused}: {reason}")
    table.add_row("training", styled("[dim]{}[/]", _knobs(vars(spec.training))))
    table.add_row("seed", str(spec.seed))
    for source in dict.fromkeys(spec.sources.values()):
        if source not in ("default", "flag"):
            names = [name for name, origin in spec.sources.items() if origin == source]
            table.add_row(f"from {source}", ", ".join(names))
    notes.print(table)
    for warning in spec.warnings:
        notes.print(styled("[yellow]warning:[/] {}", warning))


def _components(spec: RunSpec) -> dict[str, Choice]:
    """Lists the components of a run that a plan shows, by their title."""
    shown: dict[str, Choice] = {"data": spec.data}
    for network in spec.networks:
        shown[network] = spec.encoder(network)
    shown |= {"head": spec.head}
    if spec.sees_k:
        shown[f"frames (k = {spec.k})"] = spec.selector
        if spec.train_selector != spec.selector:
            shown["frames in training"] = spec.train_selector
    shown |= {"schedule": spec.schedule}
    return shown


def advice(experiment: Experiment) -> None:
    """Prints the precision of a run, and the time of a step in each precision of the device.

    Times are measured only if the device has more than one precision.
    """
    text = f"{experiment.precision} on this {experiment.device.type}"
    if experiment.spec.training.precision == "auto":
        text += ", chosen by auto"
    if has_bf16(experiment.device):
        seconds = seconds_a_step(experiment)
        times = ", ".join(f"{1e3 * taken:.3g} ms in {name}" for name, taken in seconds.items())
        text += f"; a training step takes {times} (measured now; --precision chooses)"
    notes.print(styled("[bold]precision[/] {}", text), soft_wrap=True)


def result(stored: Result) -> None:
    """Prints the quality and cost that a run found, its warnings and its file."""
    found, record = row(stored), stored.record
    metrics = [metric for metric in found["metrics"] if metric.is_judge or metric.each_epoch]
    values = [
        *((metric.title, _quality(found[metric.name])) for metric in metrics),
        ("frames per video", f"{found['frames']:.1f}"),
        ("MACs", count(found["macs"])),
        ("parameters", count(found["parameters"])),
        ("latency", latency(found)),
    ]
    videos = f"{record.data.videos.test:,}"
    head = styled("[bold]{}[/] on {} test videos: ", record.network, videos)
    line = Text(", ").join(styled("{} [bold]{}[/]", name, value) for name, value in values)
    out = console()
    out.print(head + line, soft_wrap=True)
    for warning in found["warnings"].splitlines():
        notes.print(styled("[yellow]warning:[/] {}", warning), soft_wrap=True)
    out.print(str(stored.path), style="dim", soft_wrap=True)


def _quality(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def deployment(record: StoredResult) -> str:
    """Says how fast the exported file of a row is, and how large."""
    assert record.export is not None
    one, many = (record.cost.latency[batch] for batch in ("1", "256"))
    machine = record.machine
    return (
        f"{record.export.runtime}, {machine.precision}, on {machine.threads}"
        f" thread{'s' * (machine.threads > 1)}:"
        f" {1e3 * one.median:.2f} ms for one video, {many.throughput:,.0f} videos a second in"
        f" batches of 256; a file of {record.export.bytes / 1e6:.3g} MB"
    )


def _knobs(knobs: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in knobs.items() if value != "")


def _learner(name: str, learner: Learner) -> str:
    """Writes the losses that a network minimizes, their teachers, and its initial weights."""
    terms = " + ".join(_term(term) for term in learner.terms)
    encoder = _start("encoder", learner.init.encoder)
    head = _start("head", learner.init.head)
    return f"{name} on {terms}{encoder}{head}"


def _start(part: str, start: str | Copy | Tie | Freeze | Follow) -> str:
    """Writes where the weights of an encoder or a head come from; nothing if they are kept."""
    if start == "keep":
        return ""
    if isinstance(start, str):
        return f", {part} {start}"
    return f", {part} {_VERBS[type(start)]} {start.network}'s"


_VERBS: Mapping[type, str] = {
    Copy: "copied from the",
    Tie: "tied to the",
    Freeze: "frozen, the",
    Follow: "following the",
}


def _term(term: Term) -> str:
    teacher = teacher_of(term)
    against = f" ({teacher.network})" if teacher else ""
    return _weight(term.weight) + term.loss + against


def _weight(weight: float | Ramp) -> str:
    if isinstance(weight, Ramp):
        return f"{weight.start:g} to {weight.end:g} "
    return "" if weight == 1 else f"{weight:g} "
