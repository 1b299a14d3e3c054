"""Prints what files were classified as."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from distillbench.cli.render.escaping import one_line
from distillbench.cli.render.terminal import complain, echo
from distillbench.evaluation.scores import VideoCost
from distillbench.experiments.predict import Classified

Names = Sequence[str] | None


def as_text(found: Iterable[Classified], names: Names, top: int) -> bool:
    """Prints each video when it is classified; tells whether some files cannot be used."""
    unusable = []
    for each in found:
        if each.cost is None:
            unusable.append(each)
            continue
        echo(one_line(str(each.path)))
        classes = _best(each, names, top)
        width = max(len(_label(one)) for one in classes)
        for one in classes:
            echo(f"  {one['probability']:.3f}  {_label(one):<{width}}".rstrip())
        echo(f"  {_cost(each.cost)}")
    _list(unusable)
    return bool(unusable)


def as_json(found: Iterable[Classified], names: Names, top: int) -> bool:
    """Prints a list of all videos; tells whether some files cannot be used."""
    rows: list[dict[str, Any]] = []
    unusable = []
    for each in found:
        row: dict[str, Any] = {"id": each.id, "path": str(each.path)}
        if each.cost is None:
            rows.append(row | {"problem": each.problem})
            unusable.append(each)
        else:
            cost = asdict(each.cost) | {"seconds": each.cost.seconds}
            rows.append(row | {"classes": _best(each, names, top), "cost": cost})
    echo(json.dumps(rows, indent=1))
    _list(unusable)
    return bool(unusable)


def _best(each: Classified, names: Names, top: int) -> list[dict[str, Any]]:
    """Lists the most probable classes, the best first."""
    assert each.values is not None
    order = (-each.values).argsort(kind="stable")[:top].tolist()
    return [
        {
            "class": number,
            "name": None if names is None else str(names[number]),
            "probability": float(each.values[number]),
        }
        for number in order
    ]


def _label(one: dict[str, Any]) -> str:
    return f"class {one['class']}" if one["name"] is None else one_line(one["name"])


def _cost(cost: VideoCost) -> str:
    if not cost.encoded:
        return f"{_milliseconds(cost.student)} for {cost.frames:,} frames of features"
    return (
        f"{_milliseconds(cost.seconds)}: decoding {_milliseconds(cost.decoding)}"
        f" ({cost.decoded:,} frames), backbone {_milliseconds(cost.backbone)}"
        f" ({cost.encoded:,} of {cost.frames:,} frames), student {_milliseconds(cost.student)}"
    )


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms"


def _list(unusable: Sequence[Classified]) -> None:
    if unusable:
        complain(f"{len(unusable):,} cannot be used:")
        for each in unusable:
            complain(f"  - {each.path}: {each.problem}")
