from __future__ import annotations

import pytest
from scripted import MakeSetup

from distillbench.config.run_spec import RunSpec


@pytest.fixture
def grid(make_spec: MakeSetup) -> list[RunSpec]:
    """Two teachers, each shared by a skyline and two students, and one student alone."""
    of = [
        make_spec(schedule=s, k=k, seed=n)
        for n in (0, 1)
        for s, k in (("serial", 3), ("serial", 4), ("teacher", 4))
    ]
    return [*of, make_spec(schedule="scratch")]
