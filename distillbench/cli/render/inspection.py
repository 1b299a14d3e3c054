"""Prints what files hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from distillbench.cli.render.terminal import console, styled
from distillbench.data import FileReport, Inspection, Spread
from distillbench.data.naming import enumerated, shortened

_MOST_FILES = 40
_MOST_REASONS = 10
_MOST_WIDTHS = 5


def show(inspection: Inspection) -> None:
    """Prints a line a shard, the totals, what else there is, and why records cannot be used.

    Of many shards or reasons the first are printed, and how many more there are; shards with bad records come first.
    """
    out, root = console(), inspection.total.path
    shards = [report for report in inspection.files if report.kind != "not a shard"]
    others = [report for report in inspection.files if report.kind == "not a shard"]
    listed = set(
        sorted(range(len(shards)), key=lambda number: not shards[number].bad)[:_MOST_FILES]
    )
    if shards:
        out.print(
            _table([shards[number] for number in sorted(listed)], len(shards), inspection.total)
        )
    if others:
        out.print(f"{_files(len(others))} of another kind ({_endings(others)})")
    if not shards:
        out.print(
            "no shard: of a folder only *.tfrecord are looked into; name a file to have it looked into"
        )
    damaged = [report for report in shards if report.bad]
    for report in damaged[:_MOST_FILES]:
        for line in _reasons(report):
            told = styled("[yellow]{}[/]: {}", _name(report.path, root), line)
            out.print(told, soft_wrap=True)
    if len(damaged) > _MOST_FILES:
        out.print(f"and {_files(len(damaged) - _MOST_FILES, 'more ')} with bad records")


def _table(listed: Sequence[FileReport], shards: int, total: FileReport) -> Table:
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
        table.add_column(
            title,
            justify="left" if title in ("file", "kind", "features") else "right",
            overflow="fold",
        )
    for report in listed:
        table.add_row(*_cells(report, _name(report.path, total.path)))
    if len(listed) < shards:
        table.add_row(f"and {shards - len(listed):,} more")
    if shards > 1:
        table.add_section()
        table.add_row(*_cells(total, "all shards"), style="bold")
    return table


def _files(count: int, which: str = "") -> str:
    return f"{count:,} {which}file{'s' if count != 1 else ''}"


def _endings(reports: Sequence[FileReport]) -> str:
    """Counts files by how their names end, the most frequent first; `.npy` alone where all end alike."""
    found = Counter(report.path.suffix.lower() or "without an ending" for report in reports)
    if len(found) == 1:
        return next(iter(found))
    return enumerated([f"{count:,} {ending}" for ending, count in found.most_common()])


def _reasons(report: FileReport) -> Iterator[str]:
    told = list(report.bad.items())
    for reason, count in told[:_MOST_REASONS]:
        yield f"{count:,} x {reason}"
    if len(told) > _MOST_REASONS:
        records = sum(count for _, count in told[_MOST_REASONS:])
        yield f"and {len(told) - _MOST_REASONS:,} more reasons, of {records:,} records"


def _cells(report: FileReport, name: str) -> list[str]:
    if report.frames is None or report.labels is None:
        return [name, report.kind, "-", "-", "-", "-", "-", f"{report.bytes:,}", _total(report)]
    features = enumerated(
        [f"{shortened(name)} {_widths(widths)}" for name, widths in report.features.items()]
    )
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


def _widths(widths: Sequence[int]) -> str:
    return "/".join(map(str, widths[:_MOST_WIDTHS])) + ("/…" if len(widths) > _MOST_WIDTHS else "")


def _labels(spread: Spread) -> str:
    return f"{spread.least}/{spread.mean:.2f}/{spread.most}"


def _total(report: FileReport) -> str:
    return f"{sum(report.bad.values()):,}"


def _name(path: Path, root: Path) -> str:
    return path.name if path == root else str(path.relative_to(root))
