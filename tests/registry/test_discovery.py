"""Plugins are found where they are installed, and a broken one is a failure with its name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import hostile
import pytest
from registry.strangers import Discovered, third_parties
from registry.wrong_plugins import GROUP, HOOKS, IMPORTS

from distillbench.cli.render.listing import one_component
from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.errors import ConfigError, Interrupted
from distillbench.registry.discovery import Registry, discover
from distillbench.registry.kinds import KINDS


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_an_honest_one_can_be_used(found: Discovered, kind: str) -> None:
    registry = found(hostile.module(kind))
    assert not third_parties(registry)
    assert registry.find(kind, "strange") is not None
    assert registry.find(KINDS[kind].chosen_by, "strange") is registry.find(kind, "strange")


def test_a_component_is_found_by_its_own_kind_and_by_the_setting_that_chooses_it(
    registry: Registry,
) -> None:
    found = registry.find("label-loss", "ce")
    assert found is not None
    assert registry.find("loss", "ce") is found
    assert registry.find("matching-loss", "ce") is None


def test_a_knob_of_a_group_is_set_and_stored_like_any_other(
    found: Discovered, capsys: pytest.CaptureFixture[str]
) -> None:
    takes_group = "def __init__(self, k: int, *, group: Group = Group(2)) -> None: self.k, self.group = k, group"
    takes_knob = "def __init__(self, k: int, *, knob: int = 2) -> None: self.k, self.knob = k, knob"
    grouped = found(hostile.module("selector", before=GROUP, body=takes_group))
    flat = found(hostile.module("selector", body=takes_knob))
    chosen = {"data": "digits", "selector": "strange", "k": 4}
    for value, choice in ((2, []), (3, ["selector.knob=3"])):
        (one,), (other,) = (
            specs([flags(chosen, choice)], registry) for registry in (grouped, flat)
        )
        assert (one.key, one.describe()) == (other.key, other.describe())
        assert one.selector.build(4).group.knob == other.selector.build(4).knob == value
    one_component(grouped, "strange")
    assert "knob  int   2        turns nothing." in capsys.readouterr().out
    with pytest.raises(
        ConfigError, match="selector strange has no knob 'knbo', did you mean 'knob'"
    ):
        specs([flags(chosen, ["selector.knbo=3"])], grouped)
    with pytest.raises(ConfigError, match="selector strange: knob 'knob' takes int, found 'high'"):
        specs([flags(chosen, ["selector.knob=high"])], grouped)


def test_what_is_known_is_found_again_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = hostile.module("head")
    hostile.install(tmp_path, {"first_of_two": honest}, "two-methods", "1")
    monkeypatch.setattr(
        "distillbench.registry.discovery.distributions", lambda: hostile.beside(tmp_path)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    known = discover()
    assert discover() is known
    assert discover("head") is not known
    monkeypatch.delitem(sys.modules, "first_of_two")
    assert discover() is not known, "its module was imported anew"
    known = discover()
    hostile.install(tmp_path, {"second_of_two": honest}, "other-methods", "1")
    assert [f.reason for f in discover().failures] == [
        "the head name 'strange' is taken by other-methods 1"
    ]
    assert discover() is not discover(), "what failed is tried again"


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_fails_is_a_failure(found: Discovered, hook: str) -> None:
    (failure,) = third_parties(found(hostile.module("head", hook=hook)))
    assert HOOKS[hook] in failure.reason
    assert len(failure.reason) < 500


@pytest.mark.parametrize("before", IMPORTS)
def test_a_module_that_cannot_be_imported_is_a_failure(found: Discovered, before: str) -> None:
    (failure,) = third_parties(found(hostile.module("head", before=before)))
    assert IMPORTS[before] in failure.reason


def test_metadata_that_cannot_be_read_costs_nobody_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = tmp_path / "good"
    good.mkdir()
    hostile.install(good, {"good_plugin_of_somebody": hostile.module("head")}, "good-methods", "1")
    nameless, damaged, versionless = (
        tmp_path / f"{name}-1.dist-info" for name in ("nameless", "damaged", "vague")
    )
    for folder in (nameless, damaged, versionless):
        folder.mkdir()
    (damaged / "METADATA").write_text("Name: damaged\nVersion: 1\n")
    (damaged / "entry_points.txt").write_bytes(b"[distillbench]\n\xff\xfe = \xff\n")
    (versionless / "METADATA").write_text("Name: vague\n")
    (versionless / "entry_points.txt").write_text("[distillbench]\nvague = nowhere_at_all\n")
    monkeypatch.syspath_prepend(str(good))
    monkeypatch.setattr(
        "distillbench.registry.discovery.distributions", lambda: hostile.beside(tmp_path, good)
    )
    registry = discover()
    assert registry.find("head", "strange") is not None
    told = {failure.distribution: failure.reason for failure in registry.failures}
    assert set(told) == {"damaged", "vague"}
    assert told["damaged"].startswith("its entry points cannot be read: UnicodeDecodeError")


def test_a_stop_says_which_plugin_was_being_imported(found: Discovered) -> None:
    with pytest.raises(Interrupted) as stopped:
        found(hostile.module("head", before="raise KeyboardInterrupt"))
    assert str(stopped.value).startswith("stopped while importing the plugin 'hostile_")
    assert str(stopped.value).endswith("' of hostile-methods 6.6")


def test_a_stop_says_which_plugin_was_being_asked(found: Discovered) -> None:
    with pytest.raises(
        Interrupted,
        match=r"stopped while calling the hooks of the plugin .* of hostile-methods 6.6",
    ):
        found(hostile.module("head", hook="raise KeyboardInterrupt"))


def test_ctrl_c_during_an_import_names_the_plugin_and_exits_with_130(tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    sleeps = f"import pathlib, time; pathlib.Path({str(reached)!r}).touch(); time.sleep(60)"
    hostile.install(tmp_path, {"sleeper": hostile.module("head", before=sleeps)})
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    running = subprocess.Popen(
        [sys.executable, "-m", "distillbench", "plugins"],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not reached.exists() and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert out == ""
    assert err.strip() == "stopped while importing the plugin 'sleeper' of hostile-methods 6.6"
