"""The executor `slurm`, on submitit's processes of this machine, and on a Slurm of three scripts."""

from __future__ import annotations

import sys

import pytest

from distillbench.config.run_spec import Choice
from distillbench.errors import ConfigError
from distillbench.interfaces import Demand
from distillbench.testing.runner import CHECKS, subjects, verdict

USUAL = Demand(24, 1, "cpu")


def built(registry, demand=USUAL, **knobs):
    return Choice(registry.find("executor", "slurm"), knobs).build(demand)


@pytest.mark.parametrize(
    ("demand", "knobs", "said"),
    [
        (Demand(1, 0, "cpu"), {}, "say how many with --threads"),
        (Demand(1, 1, "cpu"), {"gpus_per_run": 1}, "--device cuda has them made on GPUs"),
        (Demand(1, 1, "cuda"), {"gpus_per_run": 0}, "and the runs are made on GPUs"),
        (Demand(1, 1, "cpu"), {"cpus_per_run": -1}, "cpus_per_run=-1 is not an integer"),
        (Demand(1, 1, "cpu"), {"gigabytes_per_run": -1.0}, "gigabytes_per_run=-1.0 is not above 0"),
        (Demand(1, 1, "cpu"), {"minutes_per_run": 0}, "minutes_per_run=0 is not an integer"),
        (Demand(1, 1, "cpu"), {"attempts": 0}, "attempts=0 is not an integer from 1 to 1000"),
        (Demand(1, 1, "cpu"), {"workers": 0}, "workers takes auto or an integer of at least 1"),
        (Demand(1, 1, "cpu"), {"options": "a b=1"}, "is not a list such as account=vision"),
        (Demand(1, 1, "cpu"), {"options": "qos=a\nrm"}, "is not a list such as account=vision"),
    ],
)
def test_what_cannot_be_is_refused_before_a_job_is_handed_in(registry, demand, knobs, said):
    with pytest.raises(ConfigError) as refused:
        built(registry, demand, **knobs)
    assert said in str(refused.value)


def test_without_submitit_the_extra_is_named(registry, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigError, match=r"pip install 'distillbench\[slurm\]'"):
        built(registry).free  # noqa: B018 - it looks for submitit


def test_without_slurm_it_says_where_to_begin_the_sweep(registry, monkeypatch, tmp_path):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no command sbatch; begin the sweep on a node"):
        built(registry).free  # noqa: B018 - it looks for Slurm


def test_it_keeps_its_promises_with_processes_of_this_machine(registry):
    pytest.importorskip("submitit")
    (subject,) = subjects([registry.find("executor", "slurm")])
    (check,) = [each for each in CHECKS["executor"] if each.name == "reports_what_runs_report"]
    assert verdict(check, subject).status == "kept"
