from __future__ import annotations

from collections.abc import Callable

from distillbench.config.run_spec import RunSpec
from distillbench.results.flatten import settings_of


def test_settings_have_the_names_that_set_them(make_spec: Callable[..., RunSpec]) -> None:
    settings = settings_of(make_spec("loss.ce.label_smoothing=0.1", schedule="serial").describe())
    assert settings["schedule"] == "serial"
    assert settings["student.cell_size"] == "8"
    assert settings["loss.ce.label_smoothing"] == "0.1"
    assert settings["phases.student.learners.student.terms.rep.weight"] == "0.1"
    assert settings["k"] == "4"
