"""What networks see of a video."""

from __future__ import annotations

from distillbench.interfaces import ViewSpec

ALL = ViewSpec("teacher_selector")
"""What a teacher sees of a video: as a rule all frames."""
