"""Prints what the files of a data set hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console, JustifyMethod
from rich.table import Table

from distillbench.cli.render.terminal import console, styled
from distillbench.data import DataReport, FileReport, Inspection, Spread
from distillbench.data.naming import enumerated, shortened
from distillbench.data.places import Place, name_within

_MOST_FILES = 40
_MOST_REASONS = 10
_MOST_WIDTHS = 5


def show(inspection: Inspection) -> None:
    """Prints one line per shard, the totals, the other files, and why records cannot be used.

    Long lists are cut, and the number of entries left out is printed. Shards with bad records are
    never left out for shards without.
    """
    out = console()
    shards = [report for report in inspection.files if report.kind != "not a shard"]
    others = [report for report in inspection.files if report.kind == "not a shard"]
    if shards:
        out.print(_table(_listed(shards), len(shards), inspection.total))
    if others:
        out.print(f"{_files(len(others))} of another kind ({_endings(others)})")
    if not shards:
        out.print(
            "no shard found: in a folder only *.tfrecord are read; name a file to read it, or with"
            " --data the data set that reads this",
            soft_wrap=True,
        )
    _print_damage(out, shards, inspection.total.path)


def show_data(report: DataReport) -> None:
    """Prints one line a split of a data set, what its frames are, and what cannot be used."""
    out = console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("split", "videos", "frames min/median/max", "labels per video", "classes"):
        table.add_column(title, justify="left" if title == "split" else "right")
    for each in report.splits:
        frames = f"{each.frames.least}/{each.frames.median:g}/{each.frames.most}"
        counts = f"{each.videos:,}", frames, _labels(each.labels), f"{each.used:,}"
        table.add_row(each.name, *counts)
    out.print(table)
    features = enumerated([f"{shortened(name)} {size}" for name, size in report.features.items()])
    names = "with names" if report.named else "without names"
    out.print(f"frames: {features}, {report.dtype}; {report.classes:,} classes {names}")
    for reason, count in report.skipped.items():
        out.print(styled("[yellow]left out[/]: {} x {}", f"{count:,}", reason), soft_wrap=True)


def _listed(shards: Sequence[FileReport]) -> list[FileReport]:
    """Chooses the shards that are printed, those with bad records first; keeps their order."""
    damaged_first = sorted(range(len(shards)), key=lambda number: not shards[number].bad)
    return [shards[number] for number in sorted(damaged_first[:_MOST_FILES])]


def _print_damage(out: Console, shards: Sequence[FileReport], root: Place) -> None:
    damaged = [report for report in shards if report.bad]
    for report in damaged[:_MOST_FILES]:
        for reason in _reasons(report):
            line = styled("[yellow]{}[/]: {}", _name(report.path, root), reason)
            out.print(line, soft_wrap=True)
    if len(damaged) > _MOST_FILES:
        out.print(f"and {_files(len(damaged) - _MOST_FILES, 'more ')} with bad records")


_COLUMNS = (
    "file",
    "kind",
    "videos",
    "frames min/median/max",
    "features",
    "classes",
    "labels per video",
    "bytes",
    "bad",
)
_TEXT_COLUMNS = ("file", "kind", "features")


def _table(listed: Sequence[FileReport], shards: int, total: FileReport) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in _COLUMNS:
        side: JustifyMethod = "left" if title in _TEXT_COLUMNS else "right"
        table.add_column(title, justify=side, overflow="fold")
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
    """Counts files by the ending of their name, the most frequent first.

    If all names end alike, that ending is returned without a number.
    """
    found = Counter(report.path.suffix.lower() or "without an ending" for report in reports)
    if len(found) == 1:
        return next(iter(found))
    return enumerated([f"{count:,} {ending}" for ending, count in found.most_common()])


def _reasons(report: FileReport) -> Iterator[str]:
    reasons = list(report.bad.items())
    for reason, count in reasons[:_MOST_REASONS]:
        yield f"{count:,} x {reason}"
    others = reasons[_MOST_REASONS:]
    if others:
        records = sum(count for _, count in others)
        yield f"and {len(others):,} more reasons, of {records:,} records"


def _cells(report: FileReport, name: str) -> list[str]:
    if report.frames is None or report.labels is None:
        return [name, report.kind, "-", "-", "-", "-", "-", f"{report.bytes:,}", _bad(report)]
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
        _bad(report),
    ]


def _widths(widths: Sequence[int]) -> str:
    shown = "/".join(str(width) for width in widths[:_MOST_WIDTHS])
    return shown + "/…" if len(widths) > _MOST_WIDTHS else shown


def _labels(spread: Spread) -> str:
    return f"{spread.least}/{spread.mean:.2f}/{spread.most}"


def _bad(report: FileReport) -> str:
    return f"{sum(report.bad.values()):,}"


def _name(path: Place, root: Place) -> str:
    return path.name if path == root else name_within(path, root)
