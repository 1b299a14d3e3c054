"""A class or a name that could not serve is a failure that says why."""

from __future__ import annotations

import hostile
import pytest
from registry.strangers import Discovered, third_parties
from registry.wrong_plugins import ATTRIBUTES, CLASSES, NAMES


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


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_name_that_nobody_could_type_is_a_failure(found: Discovered, name: object) -> None:
    registry = found(hostile.module("head", name))
    (failure,) = third_parties(registry)
    assert failure.reason.startswith(f"its hook 'heads' offers the name {name!r}")
    assert failure.reason.isprintable()
