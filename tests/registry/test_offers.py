"""Whose source shows that it offers no metric is not imported, and nobody's metric is missed."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from distillbench.registry.discovery import Registry, discover
from distillbench.registry.offers import may_implement


def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> EntryPoint:
    name = f"plugin_of_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    return EntryPoint("somebodys", name, "distillbench")


OFFERS = {
    "a function": "@hookimpl\ndef metrics(): return {}",
    "an assignment": "metrics = hookimpl(lambda: {})",
    "several at once": "one, (metrics, two) = made()",
    "an import": "from elsewhere import metrics",
    "an import by another name": "from elsewhere import offers as metrics",
    "everything of a module": "from elsewhere import *",
    "another name": "@hookimpl(specname='metrics')\ndef offers(): return {}",
    "a name that is made": "globals()['met' + 'rics'] = hookimpl(lambda: {})",
    "a condition": "if True:\n    def metrics(): return {}",
    "another module in its place": "import sys\nsys.modules[__name__] = other",
    "no Python": "def metrics(:",
    "a walrus": "print(metrics := made())",
}


@pytest.mark.parametrize("source", OFFERS.values(), ids=list(OFFERS))
def test_whatever_may_offer_metrics_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    assert may_implement(entry(tmp_path, monkeypatch, source), "metrics")


OFFERS_NOT = {
    "another hook": "import torch\n@hookimpl\ndef heads(): return {}",
    "an attribute": "class Data(DataSet):\n    metrics = ('gap',)",
    "a name within a function": "def make():\n    metrics = runs.metrics\n    return metrics",
    "words": '"""Made of metrics."""\nX = "metrics"',
    "a call of the same name": "def make(x): return x.eval().metrics",
}


@pytest.mark.parametrize("source", OFFERS_NOT.values(), ids=list(OFFERS_NOT))
def test_what_offers_no_metrics_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    assert not may_implement(entry(tmp_path, monkeypatch, source), "metrics")


def test_a_module_that_is_not_there_is_left_to_the_import(tmp_path: Path) -> None:
    assert may_implement(EntryPoint("gone", "no_such.module", "distillbench"), "metrics")


def test_all_metrics_are_found_without_the_other_plugins(registry: Registry) -> None:
    metrics = {c.name: c.cls for c in registry if c.kind == "metric"}
    assert {c.name: c.cls for c in discover("metric") if c.kind == "metric"} == metrics


def test_looking_for_metrics_imports_no_torch() -> None:
    code = (
        "import sys; from distillbench.registry.discovery import discover; "
        "assert list(discover('metric')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
