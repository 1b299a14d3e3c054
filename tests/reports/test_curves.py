"""What is read off a curve of quality against frames."""

from __future__ import annotations

import numpy as np

from distillbench.reports import frames_needed


def test_frames_needed_is_where_the_curve_last_crosses_the_goal() -> None:
    ks = np.array([6.0, 10.0, 20.0])
    assert frames_needed(ks, np.array([0.5, 0.7, 0.8]), 0.6) == 8
    assert frames_needed(ks, np.array([0.9, 0.7, 0.95]), 0.8) == 14
    assert frames_needed(ks, np.array([0.9, 0.9, 0.95]), 0.8) == 6
    assert frames_needed(ks, np.array([0.5, 0.6, 0.7]), 0.8) is None
