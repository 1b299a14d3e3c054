"""The contract in an author's own test suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from distillbench.registry.discovery import Failure, Registry, discover
from distillbench.testing.promises import Check, Subject
from distillbench.testing.runner import CHECKS, subjects, verdict


def contract_tests(
    distribution: str,
    expected_failures: Mapping[str, str] | None = None,
    data_dir: str | None = None,
) -> Callable[..., None]:
    """Makes a pytest test of every promise of every component that a distribution offers.

    `test_contract = contract_tests("my-distribution", expected_failures={"check_name": "reason"})`.
    A key is a check's name, or `component.check_name` for one component alone. An expected failure
    that passes, fails: the reason is gone. A plugin of the distribution that cannot be loaded
    fails, and so does a distribution without plugins. One that only observes or adds columns has
    one test: that it loads.

    data_dir: a folder that its data sets can read, passed to their knob `dir`; without it what a
    data set with a format of its own promises is skipped.
    """
    import pytest

    expected = dict(expected_failures or {})
    registry = discover()
    cases = [
        pytest.param(*case, id=f"{case[0].component.name}.{case[1].name}")
        for case in _cases(registry, distribution, data_dir)
    ]
    troubles = _troubles(registry, distribution, bool(cases), expected)
    if not cases and not troubles:  # observers and columns have no promises but to load
        cases = [pytest.param(None, None, "", id="loads")]
    cases += [
        pytest.param(None, None, trouble, id=f"trouble{n}") for n, trouble in enumerate(troubles)
    ]

    @pytest.mark.parametrize(("subject", "check", "trouble"), cases)
    def test_contract(subject: Subject | None, check: Check | None, trouble: str) -> None:
        if trouble:
            pytest.fail(trouble, pytrace=False)
        if subject is None or check is None:
            return
        found = verdict(check, subject)
        reason = expected.get(f"{subject.component.name}.{check.name}", expected.get(check.name))
        if found.status == "broken" and reason is None:
            pytest.fail(f"{check.promise}\nreceived: {found.received}", pytrace=False)
        if found.status == "broken":
            pytest.xfail(f"{reason} (received: {found.received})")
        if found.status == "not checked":
            pytest.skip(found.received)
        if reason is not None:
            pytest.fail(
                f"expected to fail ({reason}), and the promise is {found.status}", pytrace=False
            )

    test: Callable[..., None] = test_contract
    return test


def _cases(
    registry: Registry, distribution: str, data_dir: str | None
) -> list[tuple[Subject, Check, str]]:
    offered = [
        component
        for component in registry
        if same_distribution(component.distribution, distribution)
    ]
    return [
        (subject, check, "")
        for subject in subjects(offered, data_dir)
        for check in CHECKS[subject.component.kind]
    ]


def _troubles(
    registry: Registry, distribution: str, offers: bool, expected: Mapping[str, Any]
) -> list[str]:
    failed = failures_of(registry, distribution)
    troubles = [f"the plugin '{f.plugin}' cannot be used: {f.reason}" for f in failed]
    loaded = any(
        same_distribution(plugin.distribution, distribution) for plugin in registry.plugins
    )
    if not offers and not failed and not loaded:
        troubles.append(
            f"'{distribution}' brings no plugin; is it installed, with an entry point in"
            " 'distillbench'?"
        )
    known = {check.name for checks in CHECKS.values() for check in checks}
    unknown = [name for name in expected if name.rpartition(".")[2] not in known]
    return troubles + [
        f"expected_failures names '{name}', and no check is called so" for name in unknown
    ]


def failures_of(registry: Registry, distribution: str) -> list[Failure]:
    """Lists what a distribution offers and cannot be used."""
    return [
        failure
        for failure in registry.failures
        if same_distribution(failure.distribution, distribution)
    ]


def same_distribution(ours: str, theirs: str) -> bool:
    """Compares names as pip does: `My_Plugin` is `my-plugin`."""
    return ours.lower().replace("_", "-").replace(".", "-") == theirs.lower().replace(
        "_", "-"
    ).replace(".", "-")
