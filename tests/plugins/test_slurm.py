"""The executor `slurm`, on submitit's processes of this machine, and on a Slurm of three scripts."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from distillbench.config.run_spec import Choice
from distillbench.errors import ConfigError
from distillbench.interfaces import Demand, Finished, Lost, PhaseStarted
from distillbench.testing.executors import ToyJob
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


SBATCH = """
if [ -e "$FAKE/refuse" ]; then echo "sbatch: error: Memory specification can not be satisfied" >&2; exit 1; fi
id=$(( $(cat "$FAKE/last" 2>/dev/null || echo 100) + 1 ))
echo $id > "$FAKE/last"
cp "$1" "$FAKE/$id.sh"
export SLURM_JOB_ID=$id SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0
export SLURM_JOB_NODELIST=here
setsid bash "$1" < /dev/null > /dev/null 2>&1 &
echo $! > "$FAKE/$id.pid"
echo "Submitted batch job $id"
"""
SRUN = """
while [ "${1#--}" != "$1" ]; do
    case $1 in --output) out=$2; shift ;; --error) err=$2; shift ;; esac
    shift
done
place() { echo "$1" | sed "s/%j/$SLURM_JOB_ID/; s/%t/0/"; }
exec "$@" >> "$(place "$out")" 2>> "$(place "$err")"
"""
SQUEUE = """
for file in "$FAKE"/*.pid; do
    [ -e "$file" ] && kill -0 $(cat "$file") 2>/dev/null && basename "$file" .pid
done
true
"""
SCANCEL = 'kill -KILL -- -$(cat "$FAKE/$1.pid")'


@pytest.fixture
def slurm(monkeypatch, tmp_path):
    """A Slurm of this machine: `sbatch` begins a job at once. Returns the folder with its jobs."""
    pytest.importorskip("submitit")
    folder = tmp_path / "slurm"
    folder.mkdir()
    commands = {"sbatch": SBATCH, "srun": SRUN, "squeue": SQUEUE, "scancel": SCANCEL}
    for name, text in commands.items():
        path = folder / name
        path.write_text(f"#!/bin/bash\n{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(folder))
    for name in ("_ASK", "_GRACE"):
        monkeypatch.setitem(
            getattr(sys.modules["distillbench_plugins.executors.slurm"], name), "slurm", 0.3
        )
    yield folder
    for file in folder.glob("*.pid"):
        try:
            os.killpg(int(file.read_text()), signal.SIGKILL)
        except ProcessLookupError:
            continue


def toy(folder: Path, ends: str = "well", seconds: float = 0.0) -> ToyJob:
    return ToyJob("toy", "toy", "data", 1, "cpu", str(folder), str(folder), ends, seconds, 0)


def events(executor, until, patience=120.0):
    found, end = [], time.monotonic() + patience
    while not any(isinstance(event, until) for event in found):
        assert time.monotonic() < end, found
        found += executor.events(0.1)
    return found


def test_a_job_outlives_the_sweep_that_handed_it_in_and_the_next_one_takes_it_over(
    registry, slurm, tmp_path
):
    results, job = tmp_path / "results", toy(tmp_path, seconds=2.0)
    job = ToyJob(**{**vars(job), "results": str(results)})
    killed = built(registry, partition="gpu", gigabytes_per_run=1.5, options="account=me,exclusive")
    killed.submit(job)
    asked = (slurm / "101.sh").read_text()
    for option in ("partition=gpu", "mem=1536MB", "account=me", "exclusive", "no-requeue"):
        assert f"#SBATCH --{option}\n" in asked
    assert stat.S_IMODE((results / "jobs").stat().st_mode) == 0o700

    again = built(registry)
    again.submit(job)
    told = events(again, Finished)
    assert [type(event) for event in told][:1] == [PhaseStarted]
    assert (slurm / "last").read_text().strip() == "101", "one job was handed in"
    assert list(again.running) == []
    end = time.monotonic() + 30
    while (results / "jobs" / "toy").exists() and time.monotonic() < end:
        list(again.events(0.1))
    again.shutdown()
    assert list((results / "jobs").iterdir()) == []


def test_a_job_that_dies_is_lost_with_its_log_and_one_that_is_refused_says_why(
    registry, slurm, tmp_path
):
    made = built(registry)
    made.submit(toy(tmp_path, ends="dies"))
    *_, end = events(made, Lost)
    assert "its job 101 ended without a result" in end.reason
    log = tmp_path / "jobs" / "toy" / "101_0_log.err"
    assert str(log) in end.reason
    (slurm / "refuse").touch()
    with pytest.raises(ConfigError, match="Memory specification can not be satisfied"):
        built(registry).submit(toy(tmp_path))
    made.shutdown()


def test_what_is_left_is_cancelled(registry, slurm, tmp_path):
    made = built(registry)
    made.submit(toy(tmp_path, seconds=60.0))
    events(made, PhaseStarted)
    made.shutdown()
    assert list(made.running) == []
    pid = int((slurm / "101.pid").read_text())
    end = time.monotonic() + 10
    while time.monotonic() < end and has_processes(pid):
        time.sleep(0.05)
    assert not has_processes(pid)


def has_processes(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
