"""Lays the states of a student that saw k frames beside those of a teacher that saw N."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench.errors import NotApplicableError
from distillbench.interfaces import NO_FRAME, LossContext, States
from distillbench_plugins.layers.precision import wide_pair


def shared_layer(context: LossContext, loss: str) -> str:
    """Names the first layer of the student whose states the teacher has, too.

    loss: for the message. Raises `NotApplicableError` where there is none.
    """
    teacher = context.teacher.states if context.teacher else {}
    for name in context.student.states:
        if name in teacher:
            return name
    raise NotApplicableError(
        [
            f"{loss} compares states, and student and teacher have no layer of states in common; "
            f"the student has {', '.join(context.student.states) or 'none'}, "
            f"the teacher {', '.join(teacher) or 'none'}"
        ]
    )


def at_the_same_frames(student: States, teacher: States) -> tuple[Tensor, Tensor, Tensor]:
    """Gathers the teacher's states after the frames that the student saw.

    Returns the student's values (B, T, W), the teacher's (B, T, W') and where both exist (B, T).
    Values are zero elsewhere.
    """
    times = student.times.contiguous()
    # Padding is moved to the end of the order that `searchsorted` needs.
    known = teacher.times.masked_fill(teacher.times == NO_FRAME, torch.iinfo(torch.int64).max)
    place = torch.searchsorted(known, times).clamp_max(known.shape[1] - 1)
    both = (known.gather(1, place) == times) & (times != NO_FRAME)
    ours, theirs = wide_pair(student.values, teacher.values)
    place, both = place.to(ours.device), both.to(ours.device)
    theirs = theirs.gather(1, place[:, :, None].expand(-1, -1, theirs.shape[2]))
    return ours * both[:, :, None], theirs * both[:, :, None], both


def means_since_the_last(student: States, teacher: States) -> tuple[Tensor, Tensor, Tensor]:
    """Averages the teacher's states after the student's last frame, up to and with this one.

    Returns what `at_the_same_frames` does; for the student's first frame from the video's start.
    """
    ours, theirs = wide_pair(student.values, teacher.values)
    ends = student.times[:, :, None]
    starts = torch.cat([torch.full_like(ends[:, :1], NO_FRAME), ends[:, :-1]], 1)
    known = teacher.times[:, None]
    within = (known > starts) & (known <= ends) & (known != NO_FRAME) & (ends != NO_FRAME)
    count = within.sum(2, keepdim=True)
    both = (count[:, :, 0] > 0).to(ours.device)
    shares = (within / count.clamp_min(1)).to(theirs)
    return ours * both[:, :, None], shares @ theirs, both


def interpolated(student: States, teacher: States) -> tuple[Tensor, Tensor, Tensor]:
    """Brings the teacher's states to as many as the student's, by linear interpolation.

    Returns what `at_the_same_frames` does; first falls on first and last on last.
    """
    ours, theirs = wide_pair(student.values, teacher.values)
    seen = student.times != NO_FRAME
    count = (teacher.times != NO_FRAME).sum(1, keepdim=True)
    steps = (seen.sum(1, keepdim=True) - 1).clamp_min(1)
    place = torch.arange(seen.shape[1]) * (count - 1).clamp_min(0) / steps.to(ours.dtype)
    place = place.to(ours.dtype).clamp_max(teacher.times.shape[1] - 1)
    both = (seen & (count > 0)).to(ours.device)
    low = place.floor()
    share = (place - low).to(ours.device)[:, :, None]
    wide = (-1, -1, theirs.shape[2])
    first = low.long().to(ours.device)[:, :, None].expand(wide)
    second = place.ceil().long().to(ours.device)[:, :, None].expand(wide)
    values = theirs.gather(1, first) * (1 - share) + theirs.gather(1, second) * share
    return ours * both[:, :, None], values * both[:, :, None], both
