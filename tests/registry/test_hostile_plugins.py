"""Whatever a plugin does, it is named, and everything else goes on."""

from __future__ import annotations

from collections.abc import Callable

import hostile
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry.strangers import SAID, Discovered, third_parties
from registry.wrong_plugins import ATTRIBUTES, CLASSES, HOOKS, IMPORTS, NAMES, USED

from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.config.run_spec import Choice
from distillbench.errors import DistillbenchError, PluginError
from distillbench.experiments.executor import executor
from distillbench.experiments.tuner import CheckedTuner, tuner_of
from distillbench.interfaces import Study
from distillbench.registry.discovery import Registry
from distillbench.registry.kinds import KINDS
from distillbench.registry.knobs import bind
from distillbench.registry.vetting import wrong_report
from distillbench.video.backbone import LoadedBackbone, backbone_of


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
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
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
