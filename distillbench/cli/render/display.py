"""What a run shows before and after: its plan, and what it found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from distillbench.analysis.leaderboard import row
from distillbench.cli.render.terminal import console, styled
from distillbench.config.run_spec import Choice, RunSpec
from distillbench.config.schedule_rules import teacher_of
from distillbench.interfaces import Copy, Freeze, Learner, Ramp, Term, Tie
from distillbench.networks import has_bf16
from distillbench.results.store import Result
from distillbench.training.build import Experiment
from distillbench.training.step_time import seconds_a_step

notes = console(stderr=True)


def plan(spec: RunSpec) -> None:
    """Prints what will be run and where each setting that is not a default came from."""
    table = Table(
        title=f"plan {spec.key}", title_justify="left", box=None, show_header=False, pad_edge=False
    )
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    shown: dict[str, Choice] = {"data": spec.data}
    for network in spec.networks:
        shown[network] = spec.encoder(network)
    shown |= {"head": spec.head}
    if spec.sees_k:
        shown[f"frames (k = {spec.k})"] = spec.selector
        if spec.train_selector != spec.selector:
            shown["frames in training"] = spec.train_selector
    shown |= {"schedule": spec.schedule}
    for name, choice in shown.items():
        table.add_row(name, styled("{}  [dim]{}[/]", choice.name, _knobs(choice.knobs)))
    for phase in spec.phases:
        learns = "; ".join(_learner(name, learner) for name, learner in phase.learners.items())
        table.add_row(f"phase {phase.name}", f"{phase.epochs} epochs: {learns}")
    if spec.unused_losses and spec.sources["loss"] != "default":
        unused = ", ".join(spec.unused_losses)
        table.add_row(
            "not used", f"{unused}: the schedule {spec.schedule.name} gives them to nobody"
        )
    table.add_row("training", styled("[dim]{}[/]", _knobs(vars(spec.training))))
    table.add_row("seed", str(spec.seed))
    for source in dict.fromkeys(spec.sources.values()):
        if source not in ("default", "flag"):
            names = [name for name, origin in spec.sources.items() if origin == source]
            table.add_row(f"from {source}", ", ".join(names))
    notes.print(table)
    for warning in spec.warnings:
        notes.print(styled("[yellow]warning:[/] {}", warning))


def advice(experiment: Experiment) -> None:
    """Prints in which precision the run computes, and how fast a step is in each where both are to be had."""
    asked = experiment.spec.training.precision
    told = f"{experiment.precision} on this {experiment.device.type}" + (
        ", as auto has it" if asked == "auto" else ""
    )
    if has_bf16(experiment.device):
        seconds = seconds_a_step(experiment)
        each = ", ".join(f"{1e3 * taken:.3g} ms in {name}" for name, taken in seconds.items())
        told += f"; a training step takes {each} (measured now; --precision chooses)"
    notes.print(styled("[bold]precision[/] {}", told), soft_wrap=True)


def result(answer: Result) -> None:
    """Prints what a run found, and what limits it."""
    found = row(answer)
    shown_metrics = [metric for metric in found["metrics"] if metric.is_judge or metric.each_epoch]
    told = [
        *((metric.title, _quality(found[metric.name])) for metric in shown_metrics),
        ("frames a video", f"{found['frames']:.1f}"),
        ("MACs", count(found["macs"])),
        ("parameters", count(found["parameters"])),
        ("latency", latency(found)),
    ]
    out, c = console(), answer.content
    shown = Text(", ").join(styled("{} [bold]{}[/]", name, value) for name, value in told)
    videos = f"{c['data']['videos']['test']:,}"
    out.print(
        styled("[bold]{}[/] on {} test videos: ", c["network"], videos) + shown, soft_wrap=True
    )
    for warning in found["warnings"].splitlines():
        notes.print(styled("[yellow]warning:[/] {}", warning), soft_wrap=True)
    out.print(str(answer.path), style="dim", soft_wrap=True)


def _quality(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def latency(found: Mapping[str, Any]) -> str:
    """Writes the latency of a leaderboard's row; `~` where something else may have slowed it down."""
    if math.isnan(found["latency"]):
        return "-"
    return ("~" if found["latency_doubtful"] is True else "") + f"{1e3 * found['latency']:.2f} ms"


def count(value: float | None) -> str:
    """Writes a large count with three digits: 1.33 M, 16.8 G."""
    if value is None:
        return "-"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def _knobs(knobs: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in knobs.items() if value != "")


def _learner(name: str, learner: Learner) -> str:
    """Says what a learner minimises, against whom, and what it begins with."""
    terms = " + ".join(map(_term, learner.terms))
    experiment = (("encoder", learner.init.encoder), ("head", learner.init.head))
    begins = [
        f", {part} {how}"
        if isinstance(how, str)
        else f", {part} {_VERBS[type(how)]} {how.network}'s"
        for part, how in experiment
        if how != "keep"
    ]
    return f"{name} on {terms}{''.join(begins)}"


def _term(term: Term) -> str:
    weight, teacher = term.weight, teacher_of(term)
    ramp = f"{weight.start:g} to {weight.end:g} " if isinstance(weight, Ramp) else f"{weight:g} "
    against = f" ({teacher.network})" if teacher else ""
    return ("" if weight == 1 else ramp) + term.loss + against


_VERBS: Mapping[type, str] = {Copy: "copied from the", Tie: "tied to the", Freeze: "frozen, the"}
