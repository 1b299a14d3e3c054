"""The executor `ray`; `experiments/test_cluster.py` kills its workers and nodes."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from distillbench.config.run_spec import Choice
from distillbench.errors import ConfigError
from distillbench.interfaces import Demand, Finished, Lost
from distillbench.testing.executors import ToyJob
from distillbench.testing.runner import CHECKS, subjects, verdicts
from distillbench_plugins.executors.ray import _Begun

GPU_NODE = {"CPU": 8.0, "GPU": 2.0, "memory": 30e9}
CPU_NODE = {"CPU": 4.0, "memory": 16e9}


USUAL = Demand(24, 1, "cpu")


def built(registry, demand=USUAL, **knobs):
    return Choice(registry.find("executor", "ray"), knobs).build(demand)


@pytest.fixture
def cluster(monkeypatch):
    """Replaces Ray by a cluster of nodes with these resources, which makes nothing."""

    def of(*nodes):
        found = [{"Alive": True, "Resources": node} for node in nodes]
        fake = SimpleNamespace(nodes=lambda: found, is_initialized=lambda: True)
        monkeypatch.setattr("distillbench_plugins.executors.ray._imported", lambda: fake)
        return found

    return of


class Reports:
    """What an actor reports of a run: `None` for as long as it tells nothing."""

    def __init__(self, told):
        self.told = told

    def __next__(self):
        return self.told.pop(0)


class Actor:
    """An actor that reports what `ToyRay.scripts` says of each run it is given."""

    def __init__(self, ray):
        self.ray, self.dead = ray, False
        self.make = SimpleNamespace(options=lambda **how: SimpleNamespace(remote=self.given))

    def given(self, job):
        self.ray.given.append((job.key, self))
        return Reports(self.ray.scripts.pop(0))


class ToyRay:
    """A Ray whose actors make nothing."""

    class exceptions:  # noqa: N801 - as Ray has it
        class RayError(Exception):
            pass

    def __init__(self, *nodes):
        self.found = [{"Alive": True, "Resources": node} for node in nodes]
        self.scripts, self.given, self.killed = [], [], []

    def is_initialized(self):
        return True

    def nodes(self):
        return self.found

    def remote(self, **how):
        made = SimpleNamespace(remote=lambda: Actor(self))
        return lambda cls: SimpleNamespace(options=lambda **how: made)

    def wait(self, reports, num_returns, timeout):
        return [each for each in reports if each.told], []

    def get(self, event):
        if isinstance(event, Exception):
            raise event
        return event

    def kill(self, actor, no_restart):
        self.killed.append(actor)


@pytest.fixture
def toy_ray(monkeypatch):
    """Two nodes with room for one run each."""
    made = ToyRay({"CPU": 1.0}, {"CPU": 1.0})
    monkeypatch.setattr("distillbench_plugins.executors.ray._imported", lambda: made)
    monkeypatch.setattr("distillbench_plugins.executors.ray._FRESH", 0.0)
    return made


def job(key, data="data"):
    return ToyJob(key, key, data, 1, "cpu", "", "", "well", 0.0, 0)


def begun(key):
    return [_Begun(key, "")]


def died():
    return ToyRay.exceptions.RayError("Worker exit detail: it went. Some common causes are many")


def test_a_worker_makes_one_run_after_the_other_and_rather_one_of_the_same_data(registry, toy_ray):
    made = built(registry)
    toy_ray.scripts = [[*begun(key), Finished(key)] for key in "abcd"]
    assert made.free == 2
    made.submit(job("a", "digits"))
    made.submit(job("b", "reels"))
    assert made.free == 0
    assert list(made.events(0)) == [Finished("a"), Finished("b")]
    made.submit(job("c", "reels"))
    made.submit(job("d", "digits"))
    actors = dict(toy_ray.given)
    assert (actors["c"], actors["d"]) == (actors["b"], actors["a"])


def test_a_run_whose_worker_dies_is_lost_and_one_that_never_began_is_given_to_another(
    registry, toy_ray
):
    made = built(registry)
    toy_ray.scripts = [[*begun("a"), died()], [died()], [*begun("b"), Finished("b")]]
    made.submit(job("a"))
    made.submit(job("b"))
    told = [*made.events(0), *made.events(0)]
    assert told == [Lost("a", "its worker died: it went."), Finished("b")]
    assert len(toy_ray.killed) == 2, "who was out of reach makes nothing more"


def test_a_run_that_no_worker_ever_begins_is_lost_in_the_end(registry, toy_ray):
    made = built(registry, attempts=3)
    toy_ray.scripts = [[died()] for _ in range(3)]
    made.submit(job("a"))
    told = [event for _ in range(3) for event in made.events(0)]
    assert told == [Lost("a", "its worker died: it went.")]


def test_a_run_that_waits_for_the_place_of_an_idle_worker_is_given_to_it(registry, toy_ray):
    made = built(registry)
    toy_ray.scripts = [[*begun("a"), Finished("a")], [], [*begun("b"), Finished("b")]]
    assert made.free == 2
    made.submit(job("a"))
    made.submit(job("b"))  # its worker waits on a node that is about to go
    toy_ray.found[1]["Alive"] = False
    assert list(made.events(0)) == [Finished("a")]
    assert made.free == 0
    assert list(made.events(0)) == [Finished("b")]
    assert toy_ray.given[2][1] is toy_ray.given[0][1]


@pytest.mark.parametrize(
    ("demand", "knobs", "room"),
    [
        (Demand(24, 1, "cpu"), {}, 12),
        (Demand(24, 3, "cpu"), {}, 3),
        (Demand(24, 1, "cpu"), {"workers": 5}, 5),
        (Demand(24, 1, "cpu"), {"cpus_per_run": 0.5}, 24),
        (Demand(24, 1, "cpu"), {"gigabytes_per_run": 10.0}, 4),
        (Demand(24, 1, "cuda"), {}, 2),
        (Demand(24, 1, "cuda"), {"gpus_per_run": 0.25}, 8),
        (Demand(24, 1, "cuda"), {"gpus_per_run": 2.0}, 1),
    ],
)
def test_as_many_runs_are_made_at_once_as_fit_on_the_nodes(registry, cluster, demand, knobs, room):
    cluster(GPU_NODE, CPU_NODE)
    assert built(registry, demand, **knobs).free == room


@pytest.mark.parametrize(
    ("demand", "knobs", "said"),
    [
        (Demand(1, 16, "cpu"), {}, "needs 16 cores; the nodes have: 4 cores, 16 GB"),
        (Demand(1, 1, "cpu"), {"gigabytes_per_run": 31.0}, "needs 1 cores, 31 GB"),
        (Demand(1, 1, "cuda"), {}, "needs 1 cores, 1 GPUs; the nodes have"),
    ],
)
def test_a_run_that_fits_on_no_node_is_refused(registry, cluster, demand, knobs, said):
    cluster(CPU_NODE, CPU_NODE)
    with pytest.raises(ConfigError, match="no node has room for a run") as refused:
        built(registry, demand, **knobs).free  # noqa: B018 - it asks the cluster
    assert said in str(refused.value)


def test_a_cluster_that_lost_its_nodes_is_waited_for_as_long_as_it_may(
    registry, cluster, monkeypatch
):
    clock = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: clock)
    nodes = cluster(CPU_NODE)
    made = built(registry, patience=5.0)
    assert made.free == 4
    nodes[0]["Alive"] = False
    clock += 60
    assert made.free == 0
    nodes[0]["Alive"] = True
    clock += 300
    assert made.free == 4
    nodes[0]["Alive"] = False
    clock += 301
    with pytest.raises(ConfigError, match="the same command goes on once there is one again"):
        made.free  # noqa: B018 - it asks the cluster


@pytest.mark.parametrize(
    ("demand", "knobs", "said"),
    [
        (Demand(1, 0, "cpu"), {}, "say how many with --threads"),
        (Demand(1, 1, "cpu"), {"gpus_per_run": 0.25}, "--device cuda has them made on GPUs"),
        (Demand(1, 1, "cuda"), {"gpus_per_run": 1.5}, "gpus_per_run=1.5 is neither a share"),
        (Demand(1, 1, "cuda"), {"gpus_per_run": 0.0}, "and the runs are made on GPUs"),
        (Demand(1, 1, "cpu"), {"cpus_per_run": -1.0}, "cpus_per_run=-1 is not a number"),
        (Demand(1, 1, "cpu"), {"gigabytes_per_run": -1.0}, "gigabytes_per_run=-1 is not a number"),
        (Demand(1, 1, "cpu"), {"attempts": 0}, "attempts=0 is not an integer from 1 to 1000"),
        (Demand(1, 1, "cpu"), {"workers": 0}, "workers takes auto or an integer of at least 1"),
        (Demand(1, 1, "cpu"), {"address": "ray://head:10001"}, "begin the sweep on a node"),
    ],
)
def test_what_cannot_be_is_refused_before_there_is_a_cluster(registry, demand, knobs, said):
    with pytest.raises(ConfigError) as refused:
        built(registry, demand, **knobs)
    assert said in str(refused.value)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "127.0.0.1:port", "127.0.0.1:99999"])
def test_where_no_cluster_answers_it_says_so_at_once(registry, monkeypatch, address):
    toy = SimpleNamespace(is_initialized=lambda: False)
    monkeypatch.setattr("distillbench_plugins.executors.ray._imported", lambda: toy)
    with pytest.raises(ConfigError, match=f"no cluster answers at '{address}'"):
        built(registry, address=address).free  # noqa: B018 - it asks the cluster


def test_without_ray_the_extra_is_named(registry, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'distillbench\[ray\]'"):
        built(registry).free  # noqa: B018 - it asks the cluster


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_keeps_its_promises_on_a_cluster_of_this_machine(registry):
    """A cluster takes seconds to start: all checks share one."""
    ray = pytest.importorskip("ray")
    (subject,) = subjects([registry.find("executor", "ray")])
    ray.init("local", include_dashboard=False, log_to_driver=False, num_cpus=1)
    try:
        found = list(verdicts(subject))
    finally:
        ray.shutdown()
    assert [(each.check.name, each.status, each.received) for each in found] == [
        (check.name, "kept", "") for check in CHECKS["executor"]
    ]
