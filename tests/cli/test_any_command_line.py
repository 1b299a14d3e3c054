"""Any command line gives a result or one clear error, never a traceback and never a hang."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from distillbench.cli.app import app

Command = Callable[..., tuple[int, str, str]]

HOSTILE = [
    "", " ", "-1", "0", "1", "15", "1e9", "9" * 40, "nan", "inf", "-inf", "true", "none", "None", "[/x]", "[red]",
    "\x1b[31m", "a=b", "=", "a.b=c", "student.=1", ".=.", "student.cell_size=0", "student.cell_size=1e3",
    "training.epochs=0", "training.batch_size=-5", "training.learning_rate=nan", "training.clip=inf",
    "training.threads=999", "loss.rep=nan", "loss.ce.label_smoothing=7", "data.noise=nan", "data.train=0",
    "data.seed=-1", "data.frames=0", "head.mixtures=0", "selector.jitter=maybe", "train_selector.jitter=true",
    "schedule.finetune_epochs=-1", "k=15", "k=1|2", "seed=", "/etc/passwd", "/", ".", "..", "no/such/file.toml",
    "x.json", "rep,ce", "rep:-1", "rep,,ce", "ce:0", ":", ",", "6,10", "0:2", "5:1", "999:", "digits", "synthetic",
    "yt8m", "uniform", "every-n", "all", "first", "scratch", "serial", "teacher", "parallel", "paper",
    "released-code", "csv-log", "hrnn", "moe", "logistic", "bf16", "fp32", "cpu", "cuda", "tpu", "json", "csv",
    "markdown", "latex", "gap", "latency", "warnings", "table1", "figure2", "\u202e", "\ud800", "ü", "a\nb", "10MB",
    "-5GB", "2.5.1", "'", '"', "$(id)", "*", "?", "%s", "{0}", "\\",
]  # fmt: skip
SLOW = {"check": [], "reproduce": [], "quantize": []}
"""Commands that would work for minutes; they only get names that do not exist."""

ON_THEIR_OWN = {("serve",), ("demo",), ("data", "fetch")}
"""Commands whose options alone make them serve, train or ask a server for long; their own tests give them bad input."""


def commands() -> dict[tuple[str, ...], list[Any]]:
    """Lists every command by its words, with its parameters."""
    group: Any = typer.main.get_command(app)
    found = {}
    for name, inner in group.commands.items():
        if hasattr(inner, "commands"):
            found |= {(name, sub): each.params for sub, each in inner.commands.items()}
        else:
            found[name,] = inner.params
    return {words: known for words, known in found.items() if words not in ON_THEIR_OWN}


def lines(count: int, rng: random.Random, folder: Path, tiny: list[str]) -> Iterator[list[str]]:
    """Draws command lines: a command, some of its options, and values that fit or do not."""
    known = commands()
    for _ in range(count):
        words = rng.choice(list(known))
        line = list(words)
        if words[0] in ("run", "sweep"):
            line += [
                *tiny,
                "--plan" if words[0] == "run" else "--dry-run",
                "--results",
                str(folder / "results"),
            ]
        if words[0] == "new" or words == ("data", "split"):
            line += ["--to", str(folder / "made")]
        if words[0] == "report":
            line += ["--out", str(folder / "written")]
        for parameter in rng.sample(known[words], min(len(known[words]), rng.randrange(4))):
            if parameter.name in ("help", "results", "to", "out", "traceback", "open_it"):
                continue
            value = rng.choice(HOSTILE)
            if words[0] in SLOW:
                value = f"no-such-{value}"
            flag = parameter.opts[-1] if parameter.param_type_name == "option" else None
            line += (
                [value]
                if flag is None
                else [flag]
                if getattr(parameter, "is_flag", False)
                else [flag, value]
            )
        if words[0] in SLOW and len(line) == 1:
            line.append("no-such-name")
        yield line


@pytest.mark.parametrize("count", [50, pytest.param(600, marks=pytest.mark.slow)])
def test_any_command_line_gets_a_result_or_one_clear_error(
    count: int, command: Command, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("run", *tiny, "--schedule", "scratch", "--results", "results")[0] == 0
    rng = random.Random(count)
    for line in lines(count, rng, tmp_path, tiny):
        code, _, err = command(*line)
        assert code in (0, 1, 2), line
        assert "Traceback" not in err, line
        assert "unexpected" not in err, (line, err)
        assert "\x1b" not in err, line
        found_bad_records = line[:2] == ["data", "inspect"] and code == 1
        assert code == 0 or err.strip() or found_bad_records, f"{line} fails without a message"
