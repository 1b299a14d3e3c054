"""Prints what files hold."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from distillbench.cli.terminal import console, styled
from distillbench.data import FileReport, Inspection, Spread


def show(inspection: Inspection) -> None:
    """Prints a line a file, the totals, and every reason for which a record cannot be used."""
    out, root = console(), inspection.total.path
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in (
        "file",
        "kind",
        "videos",
        "frames min/median/max",
        "features",
        "classes",
        "labels a video",
        "bytes",
        "bad",
    ):
        table.add_column(title, justify="left" if title in ("file", "kind", "features") else "right", overflow="fold")
    for report in inspection.files:
        table.add_row(*_cells(report, _name(report.path, root)))
    if len(inspection.files) > 1:
        table.add_section()
        table.add_row(*_cells(inspection.total, "all shards"), style="bold")
    out.print(table)
    for report in inspection.files:
        for reason, count in report.bad.items():
            told = styled("[yellow]{}[/]: {} x {}", _name(report.path, root), f"{count:,}", reason)
            out.print(told, soft_wrap=True)


def _cells(report: FileReport, name: str) -> list[str]:
    if report.frames is None or report.labels is None:
        return [name, report.kind, "-", "-", "-", "-", "-", f"{report.bytes:,}", _total(report)]
    features = ", ".join(f"{name} {'/'.join(map(str, widths))}" for name, widths in report.features.items())
    labels = _labels(report.labels) if report.unlabelled < report.videos else "none"
    return [
        name,
        report.kind,
        f"{report.videos:,}",
        f"{report.frames.least}/{report.frames.median:g}/{report.frames.most}",
        features,
        f"{report.classes:,}",
        labels,
        f"{report.bytes:,}",
        _total(report),
    ]


def _labels(spread: Spread) -> str:
    return f"{spread.least}/{spread.mean:.2f}/{spread.most}"


def _total(report: FileReport) -> str:
    return f"{sum(report.bad.values()):,}"


def _name(path: Path, root: Path) -> str:
    return path.name if path == root else str(path.relative_to(root))
