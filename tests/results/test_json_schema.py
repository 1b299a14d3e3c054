"""The published JSON Schemas of result files and failure files hold for what is stored."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from results.made_up import content_of

from distillbench.plain_values import InvalidValueError
from distillbench.results import failures
from distillbench.results.format1 import upgraded
from distillbench.results.parsing import parse_result

jsonschema = pytest.importorskip(
    "jsonschema", reason="jsonschema absent: pip install 'distillbench[dev]'"
)

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schema"
FORMAT1 = Path(__file__).resolve().parent / "format1"
FILES = {"network": "a.network.safetensors", "predictions": "a.predictions.safetensors"}
Place = tuple[str | int, ...]


def validator(name: str) -> Any:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


RESULT = validator("result")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def content(make_spec: Callable[..., Any]) -> dict[str, Any]:
    """What the file of a result holds."""
    made = content_of(make_spec(schedule="serial", loss="rep,ce,pred"))
    metrics = {"gap": 0.5, "map_at_20": 0.4, "map": None, "videos": 60}
    stored = {"format": 2, **made, "metrics": metrics, "files": FILES}
    return dict(json.loads(json.dumps(stored)))


def places(content: Any, at: Place = ()) -> Iterator[Place]:
    """Every place of a tree of mappings and lists, but its root."""
    inner = content.items() if isinstance(content, dict) else enumerate(content)
    for name, value in inner:
        yield (*at, name)
        if isinstance(value, dict | list):
            yield from places(value, (*at, name))


def damaged(content: dict[str, Any], place: Place, *value: object) -> dict[str, Any]:
    """Returns a copy with another value at a place, or with nothing there."""
    found = copy.deepcopy(content)
    inner: Any = found
    for step in place[:-1]:
        inner = inner[step]
    if value:
        inner[place[-1]] = value[0]
    else:
        del inner[place[-1]]
    return found


def test_a_run_is_stored_as_the_schema_says(command, tiny, tmp_path):
    code, _, err = command("run", *tiny, "--schedule", "serial", "--results", tmp_path)
    assert code == 0, err
    (path,) = tmp_path.glob("*.json")
    RESULT.validate(read(path))


def test_results_of_the_first_edition_are_read_into_the_schema():
    paths = sorted(FORMAT1.glob("*.json"))
    assert paths
    for path in paths:
        assert not RESULT.is_valid(read(path))
        RESULT.validate(upgraded(read(path)))


def test_a_failure_is_stored_as_its_schema_says(make_spec, tmp_path):
    schema = validator("failure")
    kept = failures.keep(tmp_path, make_spec(k=5), "failed", "the disk is full")
    schema.validate(read(kept.path))
    for path in (FORMAT1 / "failures").glob("*.json"):
        schema.validate(upgraded(read(path)))
    assert not schema.is_valid(read(kept.path) | {"status": "forgotten"})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("format",), [3]),
        (("cost",), []),
        (("cost", "parameters"), [-1]),
        (("cost", "latency", "1", "median"), ["fast"]),
        (("files", "network"), ["../network.safetensors"]),
        (("files", "network"), ["folder/network.safetensors"]),
        (("data", "fingerprints", "test"), ["a/../b"]),
        (("data", "fingerprints", "test"), [""]),
        (("data", "metrics"), [[]]),
        (("history", 0, "epoch"), [True]),
        (("setup", "seed"), ["0"]),
        (("setup", "student", "name"), [""]),
        (("setup", "phases", 0, "epochs"), [1.5]),
    ],
    ids=str,
)
def test_a_damaged_result_breaks_the_schema(content, place, value):
    RESULT.validate(content)
    assert not RESULT.is_valid(damaged(content, place, *value))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_the_reader_takes_the_schema_takes_too(content, data):
    place = data.draw(st.sampled_from(sorted(places(content), key=str)))
    values = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.text(max_size=3)
    value = data.draw(st.lists(values | st.just({}) | st.just([]), max_size=1))
    changed = damaged(content, place, *value)
    try:
        parse_result(changed)
    except InvalidValueError:
        return
    if changed.get("format") == 2:  # which the reader looks at before the fields
        RESULT.validate(changed)
