"""Writes the card and the table of a published set."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from distillbench.cli.render.escaping import markdown
from distillbench.cli.render.table import as_csv, as_markdown
from distillbench.storage import write_text

_SHOWN = 50
_TAGS = ("distillbench", "knowledge-distillation", "video-classification")


def write_card(folder: Path, board: pd.DataFrame, title: str, license: str | None) -> None:
    """Writes README.md, a dataset card of the Hugging Face hub, and board.csv."""
    write_text(folder / "board.csv", as_csv(board))
    about = {
        **({"license": license} if license else {}),
        "tags": list(_TAGS),
        "configs": [{"config_name": "board", "data_files": "board.csv"}],
    }
    # JSON is YAML, and escapes what a title or a license may hold.
    head = "".join(f"{name}: {json.dumps(value)}\n" for name, value in about.items())
    rest = len(board) - _SHOWN
    more = f"\n\n{rest} more rows are in board.csv." if rest > 0 else ""
    text = (
        f"---\n{head}---\n\n# {markdown(title)}\n\n"
        "Quality, cost and time of distilled video classifiers, measured with"
        " [distillbench](https://github.com/distillbench/distillbench).\n\n"
        "`distillbench leaderboard ADDRESS OWN_RESULTS` reads them, with results of your own beside"
        " them; every file NAME.json has the settings of a run, and what it found.\n\n"
        f"{as_markdown(board.head(_SHOWN))}{more}\n"
    )
    write_text(folder / "README.md", text)
