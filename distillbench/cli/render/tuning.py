"""Writes what a search found: a table, and a sweep file with the best settings of each arm."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

from distillbench.cli.render.escaping import one_line
from distillbench.config.tuning import written_space
from distillbench.experiments.tune import Searched, Tune
from distillbench.storage import write_text

_HEADS = ("arm", "finished", "stopped", "failed", "best on validation", "settings")


def render(searched: Sequence[Searched], search: Tune, out: Path) -> str:
    """Writes a line an arm: its trials, the best one's quality and what it chose."""
    rows = []
    for each in searched:
        trials, best = each.tuner.trials(), each.best
        counts = [
            sum(trial.state == state for trial in trials)
            for state in ("finished", "stopped", "failed")
        ]
        quality = "-" if best is None or best.quality is None else f"{best.quality:.4f}"
        chosen = {} if best is None else best.values
        words = ", ".join(f"{name}={_short(value)}" for name, value in chosen.items())
        rows.append([one_line(each.arm.name), *counts, quality, one_line(words) or "-"])
    table = tabulate(rows, headers=_HEADS, tablefmt="simple", disable_numparse=True)
    return (
        f"{table}\n\nwritten: {out} (distillbench sweep {out}), and every trial to"
        f" {out.with_suffix('.csv')}\n"
        "chosen by looking at validation videos with one seed: what is best is decided by the"
        " sweep\n"
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write(out: Path, search: Tune, seeds: str) -> None:
    """Writes the sweep file, and beside it every trial as CSV."""
    lines = [f"# Chosen by {search.trials} trials of each arm on validation videos.", ""]
    lines += [f"seed = {json.dumps(seeds)}"]
    for each in search.searched:
        settings = search.settings_of(each)
        if settings is None:
            lines += ["", f"# {one_line(each.arm.name)}: no trial has a result"]
            continue
        settings = {name: value for name, value in settings.items() if name != "seed"}
        settings |= {
            "tuned_arm": each.arm.name,
            "tuned_trials": each.effort.trials,
            "tuned_space": written_space(each.effort.space),
        }
        lines += ["", f"# {one_line(each.arm.name)}", "[[grid]]", *_toml(settings)]
    write_text(out, "\n".join(lines) + "\n")
    write_text(out.with_suffix(".csv"), _csv(search.searched))


def _toml(settings: Mapping[str, object]) -> list[str]:
    choices = {name: value for name, value in settings.items() if "." not in name}
    knobs = {name: value for name, value in settings.items() if "." in name}
    # A JSON string is a TOML string, and a quoted key may hold dots.
    return [
        *(f"{name} = {_value(value)}" for name, value in choices.items()),
        *(f"set.{json.dumps(name)} = {_value(value)}" for name, value in knobs.items()),
    ]


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=True)


def _csv(searched: Sequence[Searched]) -> str:
    names = list(dict.fromkeys(name for each in searched for name in each.arm.space))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["arm", "trial", "state", "validation", "chosen", *names])
    for each in searched:
        best = each.best
        for trial in each.tuner.trials():
            quality = "" if trial.quality is None else f"{trial.quality:.6f}"
            chosen = best is not None and trial.number == best.number
            values = [trial.values.get(name, "") for name in names]
            rows.writerow([each.arm.name, trial.number, trial.state, quality, chosen, *values])
    return text.getvalue()
