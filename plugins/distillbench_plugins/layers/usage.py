"""What is written beside an exported file: what goes in, what comes out, and an example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_SHARE = {
    "multi-label": "each class on its own, between 0 and 1",
    "single-label": "which add up to 1 over the classes",
}


def usage(
    about: Mapping[str, Any],
    path: Path,
    form: str,
    inputs: Sequence[str],
    kind: str,
    example: str,
) -> str:
    """Writes how to use a file, as Markdown.

    form: what kind of file it is. inputs: the names of what it takes. kind: the numbers of frames.
    example: Python code.
    """
    width, slots = sum(about["features"].values()), about["frames"]
    features = ", ".join(f"{name} ({size})" for name, size in about["features"].items())
    selector = about.get("selector") or {}
    rows = {
        "frames": f"(videos, {slots}, {width}) {kind}: the chosen frames as they are stored, in the"
        f" order of time; the features of a frame are {features}. A video with fewer fills the rest"
        " with zeros",
        "lengths": "(videos,) int64: how many of them are real, at least 1",
        "times": f"(videos, {slots}) int64: the number of each frame in its video, -1 where there"
        " is none",
    }
    outputs = {
        "logits": f"(videos, {about['classes']}) float32: log p - log(1 - p) of each class",
        "probabilities": f"(videos, {about['classes']}) float32,"
        f" {_SHARE.get(about.get('label_kind', ''), 'of each class')}",
    }
    if about.get("exit_policy"):
        outputs["used"] = "(videos,) int64: after how many frames the network was sure enough"
    chosen = f"Frames are chosen by `{selector['name']}`. {selector['rule']}" if selector else ""
    knobs = ", ".join(f"{name} = {value}" for name, value in selector.get("knobs", {}).items())
    return f"""# {path.name}

{form}: the {about["network"]} network of run {about["run"]}, exported by distillbench. It holds
all that lies between stored frames and scores, and needs neither distillbench nor its data.

```python
{example.strip()}
```

{_table("input", {name: rows[name] for name in inputs})}

{_table("output", outputs)}

{chosen}{f" ({knobs})" if knobs else ""}

Stored frames are decoded within: {_codec(about["codec"])}.
"""


def _table(title: str, rows: Mapping[str, str]) -> str:
    lines = [
        f"| {title} | |",
        "|---|---|",
        *(f"| `{name}` | {row} |" for name, row in rows.items()),
    ]
    return "\n".join(lines)


def _codec(codec: Mapping[str, Any]) -> str:
    steps = {
        "l2": "each frame is divided by its norm",
        "l2-features": "each feature of a frame is divided by its norm",
        "standardise": "each dimension is standardized",
        "none": "nothing is normalized",
    }
    return (
        f"integers q become q * {codec['scale']:.6g} {codec['offset']:+.6g}, and"
        f" {steps.get(codec['normalise'], codec['normalise'])}"
    )
