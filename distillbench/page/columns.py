"""The columns of the page's board: what each is called, and how its cells are written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distillbench.analysis.metric_columns import MetricColumn
from distillbench.reports.amounts import count, duration, latency
from distillbench.reports.marks import mark

Row = Mapping[str, Any]
"""A row of the leaderboard, by column."""

Cell = Mapping[str, Any]
"""What a cell shows (`text`) and is sorted by (`value`); a metric's has its interval and mark."""


@dataclass(frozen=True)
class Column:
    """A column of the board.

    kind: `text`, `number` or `metric`.
    about: what it says, in a sentence.
    shown: whether a reader sees it before choosing columns.
    higher_is_better: which end is best; a column that is no number has none.
    """

    name: str
    title: str
    kind: str
    about: str
    write: Callable[[Row], Cell | None]
    shown: bool = False
    higher_is_better: bool | None = None


def columns_for(metrics: Sequence[MetricColumn]) -> list[Column]:
    """Lists the columns of results that have these metrics, in the order of the board."""
    return [
        *(_metric(column, place) for place, column in enumerate(metrics)),
        *(_text(*each) for each in _WHAT),
        *(_number(*each) for each in _COSTS),
        *(_text(*each) for each in _HOW),
    ]


def known(value: object) -> float | None:
    """Returns a number; None where a cell has none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _text(name: str, title: str, about: str, shown: bool = False) -> Column:
    def write(row: Row) -> Cell | None:
        value = row.get(name)
        is_missing = value is None or value == "" or (isinstance(value, float) and value != value)
        if is_missing:
            return None
        if isinstance(value, float) and value.is_integer():  # counts beside rows that have none
            value = int(value)
        return {"text": str(value)}

    return Column(name, title, "text", about, write, shown)


def _number(
    name: str, title: str, about: str, text: Callable[[float], str], shown: bool = False
) -> Column:
    def write(row: Row) -> Cell | None:
        value = known(row.get(name))
        if value is None:
            return None
        return {"text": latency(row) if name == "latency" else text(value), "value": value}

    return Column(name, title, "number", about, write, shown, name == "throughput")


def _metric(column: MetricColumn, place: int) -> Column:
    name = column.name

    def write(row: Row) -> Cell | None:
        value = known(row.get(name))
        if value is None:
            return None
        low, high = known(row.get(f"{name}_low")), known(row.get(f"{name}_high"))
        cell: dict[str, Any] = {"text": f"{value:.4f}", "value": value}
        if low is None or high is None:
            return cell
        sign = mark(row, name)
        written = f"{value:.4f} ± {(high - low) / 2:.3f}"
        return cell | {"text": written, "low": low, "high": high} | ({"mark": sign} if sign else {})

    ending = ", with its 95 % interval" if column.has_interval else ""
    better = "higher" if column.higher_is_better else "lower"
    about = f"{column.title} on the test videos{ending}; {better} is better"
    shown = column.is_judge and place < 2
    return Column(name, column.title, "metric", about, write, shown, column.higher_is_better)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _decimals(value: float) -> str:
    return f"{value:.4f}"


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() or value >= 100 else f"{value:.1f}"


def _bytes(value: float) -> str:
    written = count(value)
    return written + ("B" if written[-1].isalpha() else " B")


_WHAT = (
    ("k", "frames (k)", "how many frames of a video the network sees", True),
    ("role", "role", "what the run is for: a teacher, taught, alone, or a control", False),
    ("seeds", "seeds", "how many seeds the row is the mean of", True),
    ("data", "data", "the data set", False),
    ("encoder", "encoder", "the network that encodes the frames", False),
    ("schedule", "schedule", "which networks learn when, and from whom", False),
    ("loss", "loss", "what the network minimizes, with weights other than 1", False),
    ("selector", "frames by", "what chooses the frames", False),
    ("train_selector", "in training by", "what chooses the frames in training", False),
    ("head", "head", "what turns an encoding into classes", False),
    ("status", "status", "whether the run has a result, and else why not", False),
)
_COSTS = (
    ("macs", "MACs", "multiply-accumulates for one video", count, True),
    ("latency", "latency", "time for one video; ~ measured beside something else", str, True),
    ("frames", "frames read", "frames read for one video, on average", _plain),
    ("bytes", "bytes read", "bytes read for one video, on average", _bytes),
    ("parameters", "parameters", "weights of encoder and head", count),
    ("flops", "FLOPs", "floating point operations for one video", count),
    ("published_macs", "paper's MACs", "counted as the encoder's own paper does", count),
    ("memory", "memory", "most bytes of weights and activations at once", _bytes),
    (
        "latency_p95",
        "latency p95",
        "95 of 100 videos took no longer",
        _milliseconds,
    ),
    ("throughput", "videos/s", "videos a second in batches of 256", _plain),
    ("file_bytes", "file", "the size of the exported file", _bytes),
    ("train_seconds", "trained", "seconds of training, over all phases", duration, True),
    ("training_macs", "training MACs", "multiply-accumulates of all training", count),
    ("teacher_epochs", "teacher epochs", "epochs of the teacher", _plain),
    ("student_epochs", "student epochs", "epochs of the student", _plain),
    ("same_top_1", "same top 1", "videos whose best class is the teacher's", _percent),
    ("same_top_20", "same top 20", "share of the teacher's best 20 classes", _percent),
    ("teacher_kl", "KL to teacher", "divergence from the teacher's probabilities", _decimals),
    ("teacher_cka", "CKA to teacher", "likeness of the encodings (linear CKA)", _decimals),
    ("train_videos", "training videos", "how many videos the run was trained on", _plain),
)
_HOW = (
    ("budget", "budget", "epochs of teacher and student", False),
    ("precision", "precision", "the arithmetic of the network", False),
    ("device", "device", "what the run was made on", False),
    ("exporter", "exported as", "the format of an exported network", False),
    ("runtime", "run by", "what ran the exported network", False),
    ("preset", "preset", "the named set of settings", False),
    ("arm", "arm", "the arm of a tuning that the run is of", False),
    ("trials", "trials", "how many trials chose its settings", False),
    ("plugins", "plugins", "distributions other than ours that took part", False),
)

FACETS = ("k", "schedule", "loss", "encoder", "selector", "budget", "role", "precision", "status")
"""The columns that rows are filtered by, beside the data set."""

UNITS = {"latency": "seconds", "bytes": "bytes", "memory": "bytes", "train_seconds": "seconds"}
"""The units of costs that have one, for the axes of charts."""

COSTS = ("macs", "latency", "frames", "bytes", "parameters", "memory", "train_seconds")
"""The columns that quality is drawn against."""
