"""Results of format 1, read as if they had been written today."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from distillbench.config.run_spec import described
from distillbench.interfaces import Copy, Freeze, Init, NetworkSpec, Teacher, Tie

_JUDGED_BY = ("gap", "map_at_20", "map")
"""The metrics that every result of format 1 was judged by."""

_HEADS = {
    "copy": Init(head=Copy("teacher")),
    "tied": Init(head=Tie("teacher")),
    "frozen": Init(head=Freeze("teacher")),
}


def upgraded(content: Mapping[str, Any]) -> dict[str, Any]:
    """Converts what a file of format 1, a result or a failure, holds to format 2.

    What is damaged stays as it is, so that the reader of format 2 names the wrong field.
    """
    found = dict(content)
    for step in _STEPS:
        found = step(found)
    return found | {"format": 2}


def _networks(content: dict[str, Any]) -> dict[str, Any]:
    """Names the networks, and gives each learner of a phase its terms."""
    try:
        spec = dict(content["setup"])
        if "networks" in spec:
            return content
        phases = spec["phases"]
        alone = {
            loss
            for phase in phases
            for name, terms in phase["objectives"].items()
            if name not in _guides(phase)
            for loss in terms
        }
        spec["phases"] = [_phase(phase, alone) for phase in phases]
        names = [name for name in ("teacher", "student") if name in spec]
        spec["networks"] = {name: described(NetworkSpec(name)) for name in names}
    except (KeyError, TypeError, ValueError, AttributeError):
        return content
    return {**content, "setup": spec}


def _guides(phase: Mapping[str, Any]) -> Mapping[str, str]:
    guides: Mapping[str, str] = phase.get("guides", {"student": "teacher"})
    return guides


def _phase(phase: Mapping[str, Any], alone: set[str]) -> dict[str, Any]:
    """Converts a phase.

    alone: losses that some network minimizes without a teacher, which are those on the labels.
    """
    targets = phase.get("targets", "own")
    learners = {}
    for name, weights in phase["objectives"].items():
        guide = _guides(phase).get(name)
        teacher = (
            None
            if guide is None
            else Teacher(
                guide,
                view="learner" if targets == "same-frames" else "own",
                videos="shuffled" if targets == "shuffled" else "matched",
            )
        )
        learners[name] = {
            "terms": [
                {
                    "loss": loss,
                    "weight": weight,
                    "teacher": None if teacher is None or loss in alone else described(teacher),
                    "view": None,
                }
                for loss, weight in weights.items()
            ],
            "init": described(
                _HEADS.get(phase.get("head", ""), Init()) if name == "student" else Init()
            ),
            "view": None,
            "optimizer": {},
        }
    return {
        "name": phase["name"],
        "epochs": phase["epochs"],
        "learners": learners,
        "averages": {},
        "ensembles": {},
        "starts": dict(phase.get("starts", {})),
    }


def _metrics(content: dict[str, Any]) -> dict[str, Any]:
    """Puts plugins' columns among the metrics, and names those that the data is judged by."""
    metrics, columns, data = (content.get(name) for name in ("metrics", "columns", "data"))
    if isinstance(metrics, dict) and isinstance(columns or {}, dict):
        content = {name: value for name, value in content.items() if name != "columns"}
        content["metrics"] = {**(columns or {}), **metrics}
    if isinstance(data, dict):
        content = content | {"data": {**data, "metrics": list(_JUDGED_BY)}}
    return content


_STEPS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (_networks, _metrics)
"""What changed with format 2, one subject in each step."""
