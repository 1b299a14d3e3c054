"""A plugin that is broken or hostile is a failure with its name, and everything else goes on."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import hostile
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distillbench.cli.render.listing import one_component
from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.config.run_spec import Choice
from distillbench.errors import ConfigError, DistillbenchError, Interrupted, PluginError
from distillbench.experiments.executor import executor
from distillbench.experiments.tuner import CheckedTuner, tuner_of
from distillbench.interfaces import Study
from distillbench.registry.discovery import Failure, Registry, discover
from distillbench.registry.kinds import KINDS
from distillbench.registry.knobs import bind
from distillbench.registry.vetting import wrong_report
from distillbench.video.backbone import LoadedBackbone, backbone_of

Discovered = Callable[[str], Registry]
SAID = ("hostile-methods", "6.6")
SERIAL = itertools.count()
GROUP = (
    "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Group:\n    knob: int = 1"
)


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Discovered:
    """Installs a module as a plugin of its own distribution, and discovers."""

    path = list(sys.path)

    def install(text: str) -> Registry:
        number = next(SERIAL)
        folder = tmp_path / str(number)
        folder.mkdir()
        hostile.install(folder, {f"hostile_{number}": text})
        monkeypatch.setattr(sys, "path", [str(folder), *path])
        monkeypatch.setattr(
            "distillbench.registry.discovery.distributions", lambda: hostile.beside(folder)
        )
        return discover()

    return install


def third_parties(registry: Registry) -> list[Failure]:
    ours = [c for c in registry if c.distribution == "distillbench"]
    assert {c.kind for c in ours} == {*KINDS}, "what is good stays"
    return [f for f in registry.failures if (f.distribution, f.version) == SAID]


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


CLASSES = {
    "a signature that is none": (
        {"body": "__signature__ = 7"},
        "knobs that cannot be read: TypeError",
    ),
    "a signature that raises": ({"body": "__signature__ = Raising()"}, "cannot be looked at: Odd"),
    "a docstring that is a number": (
        {"body": "__doc__ = 7"},
        "a docstring that is 7; it must be text",
    ),
    "a docstring that is a property": (
        {"body": "__doc__ = property(lambda s: 1 / 0)"},
        "it must be text",
    ),
    "a docstring that raises": ({"body": "__doc__ = Raising()"}, "cannot be looked at: Odd"),
    "a module that is a number": ({"body": "__module__ = 7"}, "__module__ that is 7"),
    "a module that cannot be": (
        {"body": "__module__ = '-c\\0'"},
        "says that its module is '-c\\x00'",
    ),
    "abstract methods that are none": ({"after": "Strange.__abstractmethods__ = 7"}, "TypeError"),
    "abstract methods of its own": (
        {"after": "Strange.__abstractmethods__ = {'more'}"},
        "leaves abstract: more",
    ),
    "exclusive knobs that it does not have": (
        {"body": "exclusive_knobs = (('none', 'such'),)"},
        "exclusive_knobs that are",
    ),
    "sizes for checks that are none": ({"body": "check_knobs = 7"}, "check_knobs that is 7"),
    "sizes for checks that raise": (
        {"body": "check_knobs = BadMapping()"},
        "cannot be looked at: Odd",
    ),
    "knobs without end": (
        {"body": "def __init__(self, *given, **knobs): ..."},
        "takes **knobs: knobs that nobody can list",
    ),
    "a knob of an unknown type": (
        {"body": "def __init__(self, *given, knob: 'Nowhere' = 1): ..."},
        "knobs that cannot be read: NameError: name 'Nowhere' is not defined",
    ),
    "a default of another type": (
        {"body": "def __init__(self, *given, knob: int = 'one'): ..."},
        "a knob 'knob' that takes int, and its default is 'one'",
    ),
    "a default that is not a number": (
        {"body": "def __init__(self, *given, knob: float = float('nan')): ..."},
        "takes float, and its default is nan",
    ),
    "a default with thousands of digits": (
        {"body": "def __init__(self, *given, knob: int = 10**5000): ..."},
        "its default is an object of type int",
    ),
    "a default that no file can hold": (
        {"body": "def __init__(self, *given, knob=object()): ..."},
        "a knob 'knob' that takes Any",
    ),
    "a group of knobs without a default": (
        {"before": GROUP, "body": "def __init__(self, *given, group: Group): ..."},
        "a group of knobs 'group' without a default; it must be a Group",
    ),
    "a group of knobs with a knob's name": (
        {
            "before": GROUP,
            "body": "def __init__(self, *given, group: Group = Group(), knob: int = 1): ...",
        },
        "has two knobs of one name: knob",
    ),
    "a group of knobs that is not frozen": (
        {
            "before": GROUP.replace("(frozen=True)", ""),
            "body": "def __init__(self, *given, group: Group = Group()): ...",
        },
        "a group of knobs 'group' that is not a frozen dataclass: Group",
    ),
    "a group of knobs with one of another type": (
        {"before": GROUP, "body": "def __init__(self, *given, group: Group = Group('one')): ..."},
        "a knob 'knob' that takes int, and its default is 'one'",
    ),
    "a group of knobs within a group": (
        {
            "before": GROUP
            + "\n\n@dataclass(frozen=True)\nclass Outer:\n    group: Group = Group()",
            "body": "def __init__(self, *given, outer: Outer = Outer()): ...",
        },
        "a knob 'group' that takes Group, and its default is Group(knob=1)",
    ),
    "a group of knobs that raises when compared": (
        {
            "before": GROUP + "\n    def __eq__(self, other): raise Odd",
            "body": "def __init__(self, *given, group: Group = Group()): ...",
        },
        "cannot be looked at: Odd",
    ),
    "a class that raises for every name": (
        {
            "meta": "def __getattribute__(cls, name): return 1 / 0 if READY else super().__getattribute__(name)",
            "hook": "READY.append(1); return {'strange': Strange}",
        },
        "cannot be looked at: ZeroDivisionError",
    ),
    "a class that raises for its name": (
        {"meta": "__name__ = property(lambda cls: 1 / 0)"},
        "cannot be looked at: ZeroDivisionError",
    ),
    "a class that raises for what it lacks": (
        {"meta": "def __getattr__(cls, name): raise Odd"},
        "cannot be looked at: Odd",
    ),
    "a class that raises when compared": (
        {"meta": "__eq__ = lambda cls, other: 1 / 0\n    __hash__ = None"},
        "cannot be looked at",
    ),
    "a class that is a name": (
        {"hook": "return {'strange': 'Strange'}"},
        "is 'Strange'; it must be a class",
    ),
    "a class that cannot be shown": (
        {"hook": "return {'strange': Raising()}"},
        "is an object of type Raising; it must be a class",
    ),
    "a class that claims to derive": (
        {"meta": "def mro(cls): return [cls, object]"},
        "it must be a class derived from",
    ),
}


@pytest.mark.parametrize("what", CLASSES)
@pytest.mark.parametrize("kind", ["selector", "matching-loss"])
def test_a_class_that_cannot_be_used_is_a_failure_that_says_why(
    found: Discovered, kind: str, what: str
) -> None:
    wrong, said = CLASSES[what]
    registry = found(hostile.module(kind, **wrong))
    (failure,) = third_parties(registry)
    assert failure.reason.startswith(f"the {kind} 'strange' ")
    assert said in failure.reason
    assert failure.reason.isprintable()
    assert len(failure.reason) < 500
    assert registry.find(kind, "strange") is None
    assert failure.reason in registry.missing(kind, "strange")


ATTRIBUTES = [
    ("selector", "keeps = 'most'", "a keeps that is 'most'; there are: k, at most k, all"),
    ("selector", "keeps = Raising()", "cannot be looked at: Odd"),
    ("backbone", "is_default = 1", "is_default that is 1; there are: True, False"),
    (
        "selector",
        "scan_stride = -1",
        "a scan_stride that is -1; it must be an integer of at least 0",
    ),
    ("selector", "scan_stride = True", "a scan_stride that is True"),
    ("selector", "select = 7", "a select that is 7; it must be a method"),
    ("data", "recipe = 7", "a recipe that is 7; it must be a mapping from setting to value"),
    ("data", "recipe = BadMapping()", "cannot be looked at: Odd"),
    ("data", "recipe = {1: 2}", "a recipe that sets 1; a setting's name is text"),
    ("data", "recipe = {'k': [1]}", "a recipe that sets 'k' to [1]"),
    ("report", "needs = None", "has needs that are None; they must be the name of a sweep file"),
    ("report", "needs = 'two words'", "has needs that are 'two words'"),
    ("report", "needs = Raising()", "cannot be looked at: Odd"),
    ("report", "check_rows = 7", "has check_rows that are 7; they must be a tuple of mappings"),
    ("report", "check_rows = ({'k': [1]},)", "has a row in check_rows that sets 'k' to [1]"),
    ("data", "label_kind = 'none'", "a label_kind that is 'none'"),
    ("schedule", "reports = ''", "reports that is ''; it must be the name of a network"),
    ("schedule", "reports = None", "reports that is None"),
    (
        "learned-selector",
        "reads = 'rgb'",
        "reads that are 'rgb'; they must be a tuple of features' names",
    ),
    ("learned-selector", "reads = (7,)", "reads that are (7,)"),
    ("learned-selector", "forward = 7", "a forward that is 7; it must be a method"),
    (
        "label-loss",
        "default_for = {'multi-label'}",
        "default_for that is {'multi-label'}; it must be a frozenset",
    ),
    (
        "label-loss",
        "default_for = frozenset({'no-label'})",
        "default_for that is frozenset({'no-label'})",
    ),
    *(
        (kind, body, said)
        for kind in ("label-loss", "matching-loss")
        for body, said in (
            (
                "requirements = None",
                "requirements that are None; they must be distillbench.interfaces.Requirements",
            ),
            ("del requirements", "requirements that are None"),
            (
                "requirements = Requirements(['labels'])",
                "requirements whose needs are ['labels']; they must be a",
            ),
            (
                "requirements = Requirements(frozenset({'love'}))",
                "requirements whose needs name 'love'; there are: la",
            ),
            (
                "requirements = Requirements(frozenset(), frozenset({7}))",
                "requirements whose valid_for name 7",
            ),
            (
                "requirements = Requirements(frozenset(), claims={'best'})",
                "requirements whose claims name 'best'",
            ),
        )
    ),
    ("executor", "shares_machine = 'no'", "a shares_machine that is 'no'; there are: True, False"),
    ("executor", "free = 3", "a free that is 3; it must be a property"),
    ("executor", "submit = None", "a submit that is None; it must be a method"),
    (
        "exporter",
        "suffix = 'onnx'",
        "a suffix that is 'onnx'; it must be a dot and what follows it, such as .pt2",
    ),
    ("exporter", "suffix = './../x'", "a suffix that is './../x'"),
    ("exporter", "del suffix", "a suffix that is None"),
    ("exporter", "runtime = 7", "a runtime that is 7; it must be a name"),
    ("exporter", "precision = 'in 8 bits'", "a precision that is 'in 8 bits'; it must be a name"),
    (
        "data",
        "publication = 'url'",
        "a publication that is 'url'; it must be a Publication or None",
    ),
    ("data", "metrics = 'gap'", "metrics that are 'gap'; they must be a tuple of names, each once"),
    ("data", "metrics = ('gap', 'gap')", "they must be a tuple of names, each once"),
    ("data", "metrics = BadMapping()", "they must be a tuple of names, each once"),
    ("metric", "del title", "a title that is None; it must be text in one line"),
    ("metric", "title = 'two\\nlines'", "a title that is 'two\\nlines'"),
    ("metric", "higher_is_better = 'yes'", "a higher_is_better that is 'yes'"),
    (
        "metric",
        "label_kinds = frozenset({'none'})",
        "they must be a frozenset of: multi-label, single-label",
    ),
    ("metric", "label_kinds = Raising()", "cannot be looked at: Odd"),
    ("metric", "default_place = {'multi-label': 'first'}", "it must be a dict to integers"),
    ("metric", "default_place = {'none': 1}", "a default_place for ['none']"),
    ("metric", "needs = 'more'", "a needs that is 'more'; there are: best, all"),
    ("metric", "each_epoch = 1", "a each_epoch that is 1; there are: True, False"),
    ("metric", "compute = 7", "a compute that is 7; it must be a method"),
]


@pytest.mark.parametrize(("kind", "body", "said"), ATTRIBUTES)
def test_an_attribute_that_means_nothing_is_a_failure(
    found: Discovered, kind: str, body: str, said: str
) -> None:
    (failure,) = third_parties(found(hostile.module(kind, body=body)))
    assert failure.reason.startswith(f"the {kind} 'strange' ")
    assert said in failure.reason


@pytest.mark.parametrize("name", ["seed", "latency", "videos", "gap_low", "mine_sd", "settings"])
def test_a_metric_may_not_be_called_as_a_column_of_the_leaderboard(
    found: Discovered, name: str
) -> None:
    registry = found(hostile.module("metric", name=name))
    (failure,) = third_parties(registry)
    assert (
        failure.reason
        == f"its hook 'metrics' offers the name '{name}', which is a column of the leaderboard"
    )
    assert found(hostile.module("metric", name="mine")).find("metric", "mine") is not None


NAMES = [
    "",
    " ",
    "two words",
    "a\nb",
    "a=b",
    "a,b",
    "a:b",
    "a/b",
    "..",
    "a.b",
    "-a",
    "a;b",
    "\x1b[31m",
    "[red]",
    7,
    None,
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_name_that_nobody_could_type_is_a_failure(found: Discovered, name: object) -> None:
    registry = found(hostile.module("head", name))
    (failure,) = third_parties(registry)
    assert failure.reason.startswith(f"its hook 'heads' offers the name {name!r}")
    assert failure.reason.isprintable()


HOOKS = {
    "return BadMapping()": "its hook 'heads' failed: Odd",
    "return Raising()": "its hook 'heads' returned an object of type Raising; it returns a mapping",
    "yield {}": "its hook 'heads' returned <generator object",
    "raise GeneratorExit": "its hook 'heads' failed: GeneratorExit",
    "raise SystemExit(0)": "its hook 'heads' failed: SystemExit: 0",
    "raise Odd": "its hook 'heads' failed: Odd",
    "raise ValueError('a' * 10_000)": "its hook 'heads' failed: ValueError: aaaa",
    "raise ValueError('first\\nsecond\\x1b')": "its hook 'heads' failed: ValueError: first second?",
}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_fails_is_a_failure(found: Discovered, hook: str) -> None:
    (failure,) = third_parties(found(hostile.module("head", hook=hook)))
    assert HOOKS[hook] in failure.reason
    assert len(failure.reason) < 500


IMPORTS = {
    "raise GeneratorExit": "GeneratorExit",
    "raise SystemExit(3)": "SystemExit: 3",
    "raise Odd": "Odd",
    "import sys; sys.modules[__name__] = 7": "is 7; a plugin is a module",
    "def __dir__(): return 1 / 0": "ZeroDivisionError",
    "this is no Python": "SyntaxError",
    "def recurse(): recurse()\nrecurse()": "RecursionError",
}


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
        # Where the tests run in the background of a shell, SIGINT is ignored and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until = time.monotonic() + 60
    while not reached.exists() and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert out == ""
    assert err.strip() == "stopped while importing the plugin 'sleeper' of hostile-methods 6.6"


USED = [
    ("preset", "def settings(self, k): raise SystemExit(0)", "failed: SystemExit: 0"),
    ("preset", "def settings(self, k): return 7", ": its return value is 7; it must be a mapping"),
    (
        "preset",
        "def settings(self, k): return {'k': object}",
        ": its return value sets 'k' to <class 'object'>",
    ),
    ("preset", "def settings(self, k): return BadMapping()", "failed: Odd"),
    ("preset", "def __init__(self): raise Odd", "failed: Odd"),
    ("schedule", "def phases(self, epochs): raise GeneratorExit", "failed: GeneratorExit"),
    ("schedule", "def phases(self, epochs): return [7]", "7 is not a phase"),
    (
        "schedule",
        "def phases(self, epochs): return 7",
        "its phases are 7; they must be a list of Phase",
    ),
    ("schedule", "def phases(self, epochs): return []", "it has no phases"),
    (
        "schedule",
        "def phases(self, epochs): return [Phase('a', -1, {})]",
        "phase 'a': it has -1 epochs",
    ),
    (
        "schedule",
        "def phases(self, epochs): return [Phase('a', 1, {'me': {}})]",
        "phase 'a': its learners are {'me': {}}",
    ),
    (
        "schedule",
        "def phases(self, epochs): return [Phase('a', 1, {'student': 7})]",
        "they must be a mapping from name to",
    ),
    (
        "schedule",
        "def phases(self, epochs): return [Phase('a', 1, {'me': Learner((Term('ce'),))})]",
        "the network 'me'",
    ),
    (
        "schedule",
        "def phases(self, epochs): return [Phase('a', 1, {'student': Learner((Term('ce'),), Init(head='big'))})]",
        "its head begins as 'big'",
    ),
    ("schedule", "def networks(self): return 7", "its networks are 7"),
    ("schedule", "def networks(self): raise Odd", "failed: Odd"),
    (
        "schedule",
        "reports = 'nobody'",
        "it reports 'nobody', and has the networks: teacher, student",
    ),
    ("schedule", "def __init__(self, objective): 1 / 0", "failed: ZeroDivisionError"),
]


@pytest.mark.parametrize(("kind", "body", "said"), USED)
def test_one_that_fails_when_it_is_chosen_is_named_in_a_problem(
    found: Discovered, kind: str, body: str, said: str
) -> None:
    registry = found(hostile.module(kind, body=body))
    assert not third_parties(registry)
    with pytest.raises(DistillbenchError) as refused:
        specs([flags({kind: "strange"}, [])], registry)
    assert f"the {kind} 'strange' of hostile-methods 6.6" in str(refused.value)
    assert said in str(refused.value)


def test_one_that_cannot_be_built_or_opened_is_named(found: Discovered) -> None:
    from distillbench.training.build import open_data

    spec = specs([flags({"data": "strange"}, [])], found(hostile.module("data")))[0]
    with pytest.raises(
        PluginError, match=r"the data 'strange' of hostile-methods 6.6: splits\(\) returned None"
    ):
        open_data(spec)
    broken = found(hostile.module("selector", body="def __init__(self, k): raise Odd"))
    spec = specs([flags({"selector": "strange"}, [])], broken)[0]
    with pytest.raises(
        PluginError, match=r"the selector 'strange' of hostile-methods 6.6 failed: Odd"
    ):
        spec.selector.build(5)


BODIES = [
    *(case["body"] for case, _ in CLASSES.values() if set(case) == {"body"}),
    *(body for _, body, _ in (*ATTRIBUTES, *USED)),
    "def __init_subclass__(cls): raise Odd",
    "def __class_getitem__(cls, item): raise Odd",
    "__slots__ = ()",
    "def __getattribute__(self, name): raise Odd",
    "def __init__(self, *given, knob: int = 1): print('NOISE'); os.write(1, b'NOISE')",
    "def __init__(self, *given, knob: list[int] = [1]): ...",
    "def __init__(self, *given, knob: int): ...",
    "def __init__(self, *given, knob: float = float('inf')): ...",
    "pass",
]
METAS = [
    "",
    *(case["meta"] for case, _ in CLASSES.values() if "meta" in case),
    "def __call__(cls, *given, **knobs): raise Odd",
    "def __repr__(cls): raise Odd",
    "def __subclasscheck__(cls, other): raise Odd",
    "def __instancecheck__(cls, other): raise Odd",
    "def __dir__(cls): raise Odd",
    "mro = lambda cls: type.mro(cls)",
]
AFTER = [
    "",
    *(case["after"] for case, _ in CLASSES.values() if set(case) == {"after"}),
    "READY.append(1)",
    "del Strange.__init__",
]
BEFORE = [
    "",
    "print('NOISE')",
    "os.write(1, b'NOISE')",
    "sys.stdout = None",
    "os.close(1)",
    *IMPORTS,
]
HOOKED = ["", "", "print('NOISE'); return {'strange': Strange}", *HOOKS]


@st.composite
def plugins(draw: st.DrawFn) -> tuple[str, str]:
    """A kind, and a module of up to three things that are wrong."""
    kind = draw(st.sampled_from(sorted(hostile.KINDS)))
    wrong = {
        "body": st.sampled_from(BODIES),
        "meta": st.sampled_from(METAS),
        "after": st.sampled_from(AFTER),
        "before": st.sampled_from(BEFORE),
        "hook": st.sampled_from(HOOKED),
        "name": st.one_of(st.sampled_from(NAMES), st.text(max_size=3)),
    }
    chosen = draw(
        st.lists(
            st.sampled_from(["body", "body", "body", *wrong]), min_size=1, max_size=3, unique=False
        )
    )
    return kind, hostile.module(kind, **{part: draw(wrong[part]) for part in dict.fromkeys(chosen)})


def choose(kind: str, name: str, registry: Registry) -> None:
    """Does with a component what a command that names it does first."""
    if kind == "executor":
        assert executor(registry, name, {}, [], "cpu").free == 1
    elif kind == "tuner":
        assert CheckedTuner(tuner_of(registry, name, {}), Study("study", {}, 0)).trials() == []
    elif kind == "backbone":
        with pytest.raises(PluginError) as raised:  # if nothing else is wrong, load() returns None
            LoadedBackbone(backbone_of(registry, name, {}), torch.device("cpu"))
        assert name in str(raised.value)
    elif kind == "exporter":
        component = registry.find(kind, name)
        assert component is not None
        assert Choice(component, bind(component.cls, {}, name)[0]).build().suffix
    else:
        assert specs([flags({KINDS[kind].chosen_by: name}, [])], registry)[0].key


def takes_nothing_else_down(
    found: Discovered,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[..., tuple[int, str, str]],
    plugin: tuple[str, str],
) -> None:
    """Discovers a hostile plugin among ours, chooses what it offers, and lists and checks it."""
    kind, text = plugin
    monkeypatch.setattr(
        "distillbench.testing.runner.import_effects", lambda modules: dict.fromkeys(modules, ())
    )
    registry = found(text)
    failures = third_parties(registry)
    offered = [c for c in registry if (c.distribution, c.version) == SAID]
    assert failures or offered
    for failure in failures:
        assert failure.reason.isprintable()
        assert failure.reason
    for component in offered:
        try:
            if kind == "report":  # no setting of a run
                with component.guarded():
                    assert isinstance(wrong_report(component.cls().make(None)), str)
                continue
            if kind == "metric":  # data choose metrics
                continue
            choose(kind, component.name, registry)
        except DistillbenchError as error:
            assert "strange" in str(error) or component.name in str(error)  # noqa: PT017
    monkeypatch.setattr("distillbench.registry.discovery.discover", lambda kind="": registry)
    listed = command("plugins")
    assert listed[0] == 0
    assert ("not usable" in listed[1]) == bool(failures)
    assert "NOISE" not in listed[1]
    for name in [component.name for component in offered][:1] or ["strange"]:
        code, out, err = command("plugins", name)
        assert code == (0 if offered else 2)
        assert "NOISE" not in out
        assert "unexpected " not in err.partition(":")[2][:12]
        code, out, err = command("check", name)
        assert code in (0, 1, 2)
        assert "NOISE" not in out
        assert "unexpected " not in err.partition(":")[2][:12]


@given(plugin=plugins())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_plugin_takes_anything_else_down(
    found: Discovered,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[..., tuple[int, str, str]],
    plugin: tuple[str, str],
) -> None:
    takes_nothing_else_down(found, monkeypatch, command, plugin)


@pytest.mark.slow
@given(plugin=plugins())
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_plugin_of_hundreds_takes_anything_else_down(
    found: Discovered,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[..., tuple[int, str, str]],
    plugin: tuple[str, str],
) -> None:
    takes_nothing_else_down(found, monkeypatch, command, plugin)
