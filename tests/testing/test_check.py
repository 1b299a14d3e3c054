"""`distillbench check` prints every promise, and fails where one is broken."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool

import pytest
import torch
from violations import selectors

from distillbench.errors import DistillbenchError
from distillbench.registry.discovery import Component, Registry, discover
from distillbench.registry.kinds import KINDS
from distillbench.testing.promises import Subject
from distillbench.testing.runner import CHECKS, subjects, verdicts, verdicts_of

ELSEWHERE = {("executor", "ray")}
"""Components whose promises are tested in their own modules, where they share what takes long."""


@pytest.fixture(scope="session")
def shipped() -> list[Subject]:
    """What distillbench brings; all of it is imported once, in a process of its own."""
    return subjects(
        each
        for each in discover()
        if each.distribution == "distillbench" and (each.kind, each.name) not in ELSEWHERE
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_shipped_component_keeps_its_promises(kind: str, shipped: list[Subject]):
    offered = [each for each in shipped if each.component.kind == kind]
    assert offered
    found = [verdict for subject in offered for verdict in verdicts(subject)]
    assert not [(v.component.name, v.check.name, v.received) for v in found if v.status == "broken"]


def test_every_promise_is_printed_with_its_checks_name(command):
    code, out, _ = command("check", "paper")
    assert code == 0
    assert "preset paper (distillbench" in out
    assert all(check.name in out for check in CHECKS["preset"])
    assert out.count("✓") == len(CHECKS["preset"])


def test_components_that_are_checked_at_once_have_the_same_verdicts(command):
    once, twice = (command("check", "mlp", "--jobs", jobs) for jobs in ("1", "2"))
    assert once[0] == twice[0] == 0
    assert once[1].splitlines()[:-1] == twice[1].splitlines()[:-1]


def test_a_component_that_ends_its_process_is_told_from_a_broken_promise(monkeypatch):
    def ends(*given):
        raise BrokenProcessPool("gone")

    offered = subjects(each for each in discover() if each.name == "uniform")
    monkeypatch.setattr("concurrent.futures.Future.result", ends)
    with pytest.raises(DistillbenchError, match="without --jobs the last one named is it"):
        list(verdicts_of(offered, 2))


def test_a_cross_says_what_was_received_and_exits_with_1(command, monkeypatch):
    violation = dict(selectors.VIOLATIONS)["ascends"]
    installed = Registry(
        [Component("selector", "violation", violation, "violations", "1")], [], discover().hooks
    )
    monkeypatch.setattr("distillbench.registry.discovery.discover", lambda kind="": installed)
    code, out, _ = command("check", "violation")
    assert code == 1
    assert out.count("✗") == 1
    assert "received: [" in out
    assert "1 broken" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["unifrom"], "no component is called 'unifrom', did you mean 'uniform'?"),
        (
            ["--from", "distilbench"],
            "no plugin comes from a distribution 'distilbench', did you mean",
        ),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(words, said, command):
    code, _, err = command("check", *words)
    assert code == 2
    assert said in err


def test_a_component_that_changes_everything_leaves_the_process_as_it_was():
    def vandal(self, lengths, scanned, generator, training):
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)
        print("ha")
        raise RuntimeError("no")

    cls = selectors.violating(selectors.FrameSelector, selectors.PARTS, select=vandal)
    before = torch.get_rng_state(), torch.get_default_dtype()
    found = list(verdicts(Subject(Component("selector", "vandal", cls, "vandals", "1"))))
    assert {v.status for v in found if v.check in CHECKS["selector"][-10:]} >= {"broken"}
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_default_dtype() == before[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["digits", "--data-dir", "."],
            "the data set 'digits' has no knob 'dir'; leave out --data-dir",
        ),
        (
            ["uniform", "--data-dir", "."],
            "--data-dir needs a data set; found: selector uniform",
        ),
        (["--data-dir", "."], "--data-dir needs one data set; name one of: "),
        (["yt8m", "--data-dir", "nowhere"], "--data-dir: there is no folder 'nowhere'"),
    ],
)
def test_a_folder_that_nothing_would_read_is_refused(words, said, command):
    code, out, err = command("check", *words)
    assert code == 2
    assert said in " ".join(err.split())
    assert not out


def test_a_component_that_ends_the_process_breaks_a_promise_and_no_more():
    def ends(self, lengths, scanned, generator, training):
        raise SystemExit(0)

    cls = selectors.violating(selectors.FrameSelector, selectors.PARTS, select=ends)
    found = list(verdicts(Subject(Component("selector", "ender", cls, "enders", "1"))))
    assert "it raised SystemExit: 0" in {v.received for v in found if v.status == "broken"}
