"""The contract in an author's own suite: expected failures have reasons, and end when they are not needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from violations import datasets, selectors

from distillbench.errors import DataError
from distillbench.registry.discovery import Component, Failure, Registry, discover
from distillbench.testing import contract_tests

LIAR = dict(selectors.VIOLATIONS)["ascends"]
CORRECT = selectors.CORRECT


@pytest.fixture
def install(monkeypatch):
    def with_components(*components, failures=()):
        hooks = discover().hooks
        monkeypatch.setattr(
            "distillbench.testing.runner.import_effects", lambda modules: dict.fromkeys(modules, ())
        )
        monkeypatch.setattr(
            "distillbench.testing.suite.discover", lambda: Registry(components, failures, hooks)
        )

    return with_components


def outcomes(test) -> dict[str, tuple[str, str]]:
    """Runs every case of a test made by `contract_tests`: by id, its outcome and what was said."""
    (mark,) = test.pytestmark
    found = {}
    for case in mark.args[1]:
        try:
            test(*case.values)
            found[case.id] = ("passed", "")
        except pytest.xfail.Exception as expected:
            found[case.id] = ("expected", str(expected))
        except pytest.skip.Exception as skipped:
            found[case.id] = ("skipped", str(skipped))
        except pytest.fail.Exception as failed:
            found[case.id] = ("failed", str(failed))
    return found


def test_every_promise_is_a_test_and_a_broken_one_fails_with_what_was_received(install):
    install(Component("selector", "mine", LIAR, "my-dist", "1"))
    found = outcomes(contract_tests("my-dist"))
    assert {name for name, (outcome, _) in found.items() if outcome == "failed"} == {"mine.ascends"}
    assert "Frame numbers ascend, none twice.\nreceived: [" in found["mine.ascends"][1]


@pytest.mark.parametrize("key", ["ascends", "mine.ascends"])
def test_an_expected_failure_does_not_fail_the_suite(install, key):
    install(Component("selector", "mine", LIAR, "my-dist", "1"))
    found = outcomes(contract_tests("My_Dist", expected_failures={key: "numbers fall on purpose"}))
    assert found["mine.ascends"][0] == "expected"
    assert "numbers fall on purpose" in found["mine.ascends"][1]


def test_an_expected_failure_that_passes_fails(install):
    install(Component("selector", "mine", CORRECT, "my-dist", "1"))
    found = outcomes(contract_tests("my-dist", expected_failures={"ascends": "it used to fall"}))
    assert found["mine.ascends"] == (
        "failed",
        "expected to fail (it used to fall), and the promise is kept",
    )


def test_an_expected_failure_of_no_check_fails(install):
    install(Component("selector", "mine", CORRECT, "my-dist", "1"))
    found = outcomes(contract_tests("my-dist", expected_failures={"asscends": "misspelt"}))
    assert [text for outcome, text in found.values() if outcome == "failed"] == [
        "expected_failures names 'asscends', and no check is called so"
    ]


def test_a_plugin_that_cannot_be_loaded_fails(install):
    install(failures=[Failure("mine", "my-dist", "1", "RuntimeError: no licence")])
    assert list(outcomes(contract_tests("my-dist")).values()) == [
        ("failed", "the plugin 'mine' cannot be used: RuntimeError: no licence")
    ]


def test_a_distribution_without_plugins_fails(install):
    install()
    ((outcome, text),) = outcomes(contract_tests("nobody")).values()
    assert outcome == "failed"
    assert "'nobody' brings no plugin; is it installed" in text


def own_format():
    """A data set whose folder must hold a file `mine`."""

    def build(self, *, dir: str = "") -> None:
        self.dir = dir

    def splits(self):
        if not Path(self.dir, "mine").is_file():
            raise DataError(f"no file 'mine' in {self.dir}")
        return datasets.splits(self)

    doc = "Violates one promise.\n\nKnobs:\n    dir: where it lies.\n"
    return datasets.violating(
        datasets.DataSet, datasets.PARTS, __init__=build, splits=splits, __doc__=doc
    )


def test_a_data_set_of_its_own_format_is_skipped_without_a_folder_and_tested_with_one(
    install, tmp_path
):
    install(Component("data", "mine", own_format(), "my-dist", "1"))
    without = outcomes(contract_tests("my-dist"))
    assert {outcome for outcome, _ in without.values()} == {"passed", "skipped"}
    assert "this needs --data-dir" in without["mine.lengths_are_true"][1]
    (tmp_path / "mine").touch()
    found = outcomes(contract_tests("my-dist", data_dir=str(tmp_path)))
    assert {outcome for outcome, _ in found.values()} == {"passed"}


def test_an_expected_failure_that_cannot_be_checked_is_skipped(install):
    install(Component("data", "mine", own_format(), "my-dist", "1"))
    found = outcomes(
        contract_tests("my-dist", expected_failures={"lengths_are_true": "some are blank"})
    )
    assert found["mine.lengths_are_true"][0] == "skipped"
