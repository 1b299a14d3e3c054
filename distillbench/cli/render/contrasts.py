"""Writes a family of contrasts as text."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

from distillbench.analysis.contrasts import LEVEL, Answer
from distillbench.cli.render.comparison import p_value
from distillbench.cli.render.escaping import markdown, one_line

_HEADS = ("contrast", "metric", "A", "B", "A - B", "95 % interval", "p", "p (Holm)", "real")


def render(answers: Sequence[Answer], form: str) -> str:
    """Writes the answers in one of the formats table, markdown, csv, json."""
    if form == "json":
        return json.dumps([_plain(answer) for answer in answers], indent=1) + "\n"
    if form == "csv":
        return pd.DataFrame([_flat(answer) for answer in answers]).to_csv(index=False)
    escape = markdown if form == "markdown" else one_line
    style = "github" if form == "markdown" else "simple"
    lines = [f"note: {escape(note)}" for note in _notes(answers)]
    lines += [""] if lines else []
    rows = [_row(answer, escape) for answer in answers]
    # Without disable_numparse, tabulate would write the numbers again with digits of its own.
    lines.append(tabulate(rows, headers=_HEADS, tablefmt=style, disable_numparse=True))
    lines += [
        "",
        f"real: at {LEVEL:.0%} for all {len(answers)} contrasts together (Holm); each interval is"
        " that of its contrast alone",
    ]
    return "\n".join(lines) + "\n"


def _notes(answers: Sequence[Answer]) -> list[str]:
    found = []
    for answer in answers:
        found += [f"{answer.contrast.name}: {note}" for note in answer.notes]
        if answer.difference is None:
            found.append(f"{answer.contrast.name}: no answer: {answer.reason}")
    return found


def _row(answer: Answer, escape: Callable[[str], str]) -> list[str]:
    found = answer.difference
    if found is None:
        return [escape(answer.contrast.name), *["-"] * 6, p_value(answer.holm), "no"]
    return [
        escape(answer.contrast.name),
        escape(answer.metric),
        f"{found.a:.4f}",
        f"{found.b:.4f}",
        f"{found.value:+.4f}",
        f"[{found.low:+.4f}, {found.high:+.4f}]",
        p_value(found.p),
        p_value(answer.holm),
        "yes" if answer.holds else "no",
    ]


def _flat(answer: Answer) -> dict[str, Any]:
    names = ("a", "b", "value", "low", "high", "p", "paired_seeds")
    found = answer.difference
    numbers = {name: getattr(found, name) if found else None for name in names}
    return {
        "contrast": answer.contrast.name,
        "metric": answer.metric,
        **numbers,
        "p_holm": answer.holm,
        "real": answer.holds,
    }


def _plain(answer: Answer) -> dict[str, Any]:
    asked = dataclasses.asdict(answer.contrast)
    return _flat(answer) | {"asked": asked, "notes": list(answer.notes), "reason": answer.reason}
