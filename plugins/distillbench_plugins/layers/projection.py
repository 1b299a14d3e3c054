"""Brings a student's encoding to the width of its teacher's."""

from __future__ import annotations

from torch import nn

from distillbench.interfaces import LossContext


def projection(context: LossContext) -> nn.Module:
    """Returns a linear layer from the student's summary to the teacher's width.

    Nothing is learned where the widths are equal: the projection is the identity.
    """
    student = context.student.summary
    teacher = context.teacher.summary if context.teacher else student
    return nn.Identity() if student == teacher else nn.Linear(student, teacher)
