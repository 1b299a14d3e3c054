"""What a run is for, by what its reported network learns from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

ALONE, CONTROL, TAUGHT, WHOLE = "alone", "control", "taught", "teacher"


def role_of(content: Mapping[str, Any]) -> tuple[str, str]:
    """Tells what a stored run is for, and why it is a control; the reason is empty for others.

    A control is taught by what cannot know: a teacher that is untrained or that is shown another
    video, and so tells how much of a gain is not the teacher's doing.
    """
    teachers = list(_teachers(content))
    reasons = []
    if any(teacher.get("untrained") for teacher in teachers):
        reasons.append("its teacher is untrained")
    if any(teacher.get("videos") == "shuffled" for teacher in teachers):
        reasons.append("its teacher is shown another video")
    if reasons:
        return CONTROL, "a control: " + " and ".join(reasons)
    if teachers:
        return TAUGHT, ""
    section = content["setup"]["networks"][content["network"]]["section"]
    return (WHOLE if section == "teacher" else ALONE), ""


def _teachers(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields the teachers of the reported network's terms, over all phases."""
    for phase in content["setup"]["phases"]:
        learner = phase["learners"].get(content["network"]) or {"terms": ()}
        for term in learner["terms"]:
            if term["teacher"]:
                yield term["teacher"]
