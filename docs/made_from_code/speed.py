"""Tables of `make bench`: all of them, and what a reader needs first."""

from __future__ import annotations

from collections.abc import Mapping

from made_from_code.tables import SPEED, rows_of, table

_BENCHMARKS = ("reading", "lstm", "output_cache", "inference", "ranking")
_FIRST = {
    ("warm, k = 6", "tf.data"): "reading 6 frames of a video, from memory that was just read",
    ("warm, k = 6, after a second", "tf.data"): "... that was not read for a second",
    ("warm, k = 30", "tf.data"): "reading 30 frames of a video, from memory that was just read",
    ("warm, k = 30, after a second", "tf.data"): "... that was not read for a second",
    ("cold, k = 30", "touching the map"): "reading 30 frames of a video, from disk",
    ("student's step at k = 6, teacher asked once", "live teacher"): (
        "a training step of a student of 6 frames, its teacher asked once"
    ),
    ("student's step at k = 30, teacher asked once", "live teacher"): (
        "a training step of a student of 30 frames, its teacher asked once"
    ),
    ("LSTM training fp32, paper, blocks of 20", "nn.LSTM"): "the LSTM, forward and backward",
    ("inference, one video, k = 6, fp32", "nn.LSTM fp32"): "one video, 6 frames",
    ("inference, one video, k = 6, int8", "nn.LSTM fp32"): "one video, 6 frames, in 8 bits",
    ("GAP@20, mAP@20, Hit@1, PERR, 102,400 videos", "torcheval"): (
        "GAP@20 and the rest of 102,400 x 3,862 scores"
    ),
    ("exact mAP, two walks, 102,400 videos", "torchmetrics"): "exact mAP in bounded memory",
}
"""The rows that are shown first, by stage and peer, and what they are called there."""


def all_rows() -> str:
    """Makes the table of every row of `make bench`."""
    heads = ("stage", "ours", "peer", "ratio", "target", "limit", "of the limit")
    return table(heads, (_cells(row) for row in _rows()))


def first_rows() -> str:
    """Makes the table of the rows in `_FIRST`, in that order."""
    found = {(row["stage"], row["peer_name"]): row for row in _rows()}
    rows = []
    for place, words in _FIRST.items():
        row = found[place]
        peer = f"{row['peer_name']}: {_number(row['peer'])} {row['unit']}"
        rows.append((words, f"{_number(row['ours'])} {row['unit']}", peer, _number(row["ratio"])))
    return table(("", "ours", "peer", "ratio"), rows)


def fixed_costs() -> str:
    """Makes the table of what boards cost, and what is fixed about a run."""
    rows = []
    for row in rows_of(SPEED / "fixed_costs.csv"):
        stage, _, known = row["stage"].partition(", ")
        ours, first = (f"{row[name]} s" if row[name] else "-" for name in ("ours", "peer"))
        costs = (ours, first) if known else ("-", ours)
        rows.append((stage, *costs, f"{row['limit']} s"))
    return table(("", "known", "the first time", "`import torch`"), rows)


def _rows() -> list[dict[str, str]]:
    return [row for name in _BENCHMARKS for row in rows_of(SPEED / f"{name}.csv")]


def _cells(row: Mapping[str, str]) -> tuple[str, ...]:
    ours = f"{_number(row['ours'])} {row['unit']}"
    against = (
        f"{_number(row[value])} {row[name]}" if row[value] else ""
        for name, value in (("peer_name", "peer"), ("limit_name", "limit"))
    )
    peer, limit = against
    marks = (_number(row[name]) for name in ("ratio", "target"))
    return (row["stage"], ours, peer, *marks, limit, _number(row["fraction"]))


def _number(cell: str) -> str:
    """Writes a number to three digits, and whole ones in full; nothing where there is none."""
    if cell in ("", "nan"):
        return ""
    number = float(cell)
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
