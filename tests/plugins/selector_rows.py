"""The cost in the stored row of a tiny run with a selector."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FRAMES, RGB, AUDIO = 12, 12, 4
WIDTH = RGB + AUDIO
DATA = (
    f"data.videos=60 data.rgb={RGB} data.audio={AUDIO} data.classes=4 data.shortest={FRAMES} "
    f"data.longest={FRAMES} data.shards=1 student.cell_size=4 teacher.cell_size=4 "
    "training.epochs=1 training.batch_size=32 training.threads=1"
).split()


def words(*assignments: str) -> list[str]:
    return [word for each in (*DATA, *assignments) for word in ("--set", each)]


def cost_of_a_run(
    command: Any, folder: Path, selector: str, *assignments: str, loss: str = "ce"
) -> Mapping[str, Any]:
    """Runs the command line; every video has `FRAMES` frames of `WIDTH` bytes, and k is 4."""
    schedule = ["--schedule", "scratch"] if loss in ("ce", "ce,reinforce") else []
    flags = ["--data", "synthetic", "--k", "4", "--selector", selector, "--loss", loss]
    code, _, err = command("run", *flags, *schedule, *words(*assignments), "--results", folder)
    assert code == 0, err
    (path,) = folder.glob("*.json")
    cost: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["cost"]
    return cost
