"""From settings to runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from distillbench.config.layers import Layer, flags, parse_objective, read_file
from distillbench.config.resolve import specs
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ConfigError
from distillbench.registry.discovery import Registry


def problems(registry: Registry, choices: dict[str, object], *assignments: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        specs([flags(choices, list(assignments))], registry)
    return list(caught.value.problems)


def test_every_problem_is_told_at_once(registry: Registry) -> None:
    asked: dict[str, object] = {
        "selector": "unifrm",
        "k": 0,
        "loss": "rep,foo",
        "schedule": "serail",
    }
    told = "\n".join(problems(registry, asked, "student.cel_size=3", "studnt.x=1"))
    assert "no selector is called 'unifrm', did you mean 'uniform'?" in told
    assert "k must be an integer of at least 1; found 0" in told
    assert "student hrnn has no knob 'cel_size', did you mean 'cell_size'?" in told
    assert "no schedule is called 'serail', did you mean 'serial'?" in told
    assert "'studnt.x' names no section, did you mean 'student'?" in told


def test_a_release_of_ours_voids_no_key_and_a_third_partys_does(
    make_spec: Callable[..., RunSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(schedule="serial")

    def released(distribution: str) -> str:
        encoder = dataclasses.replace(
            spec.student.component, distribution=distribution, version="9.9"
        )
        return dataclasses.replace(
            spec, student=dataclasses.replace(spec.student, component=encoder)
        ).key

    assert released("distillbench") == spec.key
    assert released("third-party") != spec.key
    monkeypatch.setattr("distillbench.config.run_spec.INTERFACE_VERSION", 99)
    assert dataclasses.replace(spec).key != spec.key


@pytest.mark.parametrize(
    "kind",
    [
        "data",
        "teacher",
        "student",
        "head",
        "selector",
        "train_selector",
        "schedule",
        "loss",
        "preset",
    ],
)
def test_an_unknown_name_of_any_kind_is_told_with_what_exists(
    registry: Registry, kind: str
) -> None:
    told = problems(registry, {kind: "nonesuch"})
    assert any("'nonesuch'" in problem and "there are:" in problem for problem in told)


@pytest.mark.parametrize("k", [0, -3, "many", 2.5])
def test_k_is_a_whole_number_above_zero(registry: Registry, k: object) -> None:
    assert problems(registry, {"k": k}) == [f"k must be an integer of at least 1; found {k}"]


@pytest.mark.parametrize(
    "assignment", ["training.epochs=0", "training.batch_size=0", "training.learning_rate=-1"]
)
def test_training_settings_have_bounds(registry: Registry, assignment: str) -> None:
    assert "must be" in problems(registry, {}, assignment)[0]


def test_flags_win_over_the_file_over_the_recipe_over_the_defaults(
    registry: Registry, tmp_path: Path
) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(
        'k = 6\nselector = "first"\n[set.student]\ncell_size = 32\n[set.training]\nepochs = 7\n'
    )
    spec = specs([read_file(file), flags({"k": 9}, [])], registry)[0]
    assert (spec.k, spec.selector.name) == (9, "first")
    assert spec.student.knobs["cell_size"] == 32
    assert spec.teacher.knobs["cell_size"] == 64  # the recipe of digits
    assert (spec.training.epochs, spec.training.learning_rate) == (7, 6e-3)
    assert spec.training.clip == 1.0
    assert spec.sources["k"] == "flag"
    assert spec.sources["training.epochs"] == str(file)
    assert spec.sources["teacher.cell_size"] == "recipe of digits"


def test_a_recipes_weight_holds_only_where_none_was_said(make_spec: Callable[..., RunSpec]) -> None:
    assert make_spec(loss="rep,ce").weights == {"rep": 0.1, "ce": 1.0}
    assert make_spec(loss="rep:2,ce").weights == {"rep": 2.0, "ce": 1.0}


def test_lists_make_a_grid_without_repeating_a_run(registry: Registry) -> None:
    layer = Layer("flag", {"k": [4, 6], "seed": [0, 1], "schedule": ["scratch", "teacher"]})
    found = specs([layer], registry)
    assert len(found) == 2 * 2 + 2  # the teacher does not depend on k
    assert len({spec.key for spec in found}) == len(found)


def test_the_key_is_that_of_what_is_asked(make_spec: Callable[..., RunSpec]) -> None:
    assert make_spec().key == make_spec().key
    assert make_spec().key != make_spec(seed=1).key
    assert make_spec().key != make_spec("student.layers=1").key
    assert (
        make_spec(schedule="scratch", loss="rep,ce").key
        == make_spec(schedule="scratch", loss="ce").key
    )


@pytest.mark.parametrize("text", ["rep:x", "rep:-1", "", "rep,,ce", "rep,rep", "rep:inf"])
def test_a_malformed_objective_is_refused(text: str) -> None:
    assert parse_objective(text)[1]


@pytest.mark.parametrize("content", ["k = ", "[student]\ncell_size = 3\n", "set = 3\n"])
def test_a_malformed_file_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"sweep\.toml"):
        read_file(file)


def test_a_preset_fills_what_the_user_left_unsaid_over_the_recipe(registry: Registry) -> None:
    spec = specs([flags({"preset": "paper", "k": 10}, ["student.cell_size=32"])], registry)[0]
    assert spec.teacher.knobs["cell_size"] == 1024
    assert spec.student.knobs["cell_size"] == 32
    assert spec.training.epochs == 5


def test_a_preset_is_not_in_the_way_of_components_without_its_knobs(registry: Registry) -> None:
    spec = specs(
        [
            flags(
                {
                    "preset": "released-code",
                    "schedule": "scratch",
                    "head": "logistic",
                    "selector": "first",
                },
                [],
            )
        ],
        registry,
    )[0]
    assert spec.head.name == "logistic"


@pytest.mark.parametrize(
    ("choices", "assignments", "lengths", "counts"),
    [
        ({"data": "audioset"}, [], (5, 5), (0, 0)),
        ({"data": "audioset"}, ["student.block_count=4"], (5, 0), (0, 4)),
        ({"data": "audioset"}, ["student.block_count=0"], (5, 5), (0, 0)),
        ({"data": "audioset", "preset": "released-code"}, [], (0, 0), (20, 5)),
        (
            {"data": "audioset", "preset": "released-code"},
            ["student.block_length=3"],
            (0, 3),
            (20, 0),
        ),
    ],
)
def test_of_knobs_that_exclude_one_another_the_higher_layers_setting_wins(
    registry: Registry,
    choices: dict[str, object],
    assignments: list[str],
    lengths: object,
    counts: object,
) -> None:
    (spec,) = specs([flags(choices, assignments)], registry)
    networks = (spec.teacher, spec.student)
    assert tuple(network.knobs["block_length"] for network in networks) == lengths
    assert tuple(network.knobs["block_count"] for network in networks) == counts
    for network, choice in (("teacher", spec.teacher), ("student", spec.student)):
        told = {n for n in ("block_length", "block_count") if f"{network}.{n}" in spec.sources}
        assert {n for n in ("block_length", "block_count") if choice.knobs[n]} <= told
        assert not any(
            spec.sources.get(f"{network}.{n}", "").startswith("recipe")
            for n in told
            if not choice.knobs[n]
        )


def test_a_flag_wins_over_a_file_that_sets_the_knob_it_excludes(
    registry: Registry, tmp_path: Path
) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text("[set.student]\nblock_length = 4\n")
    (spec,) = specs([read_file(file), flags({}, ["student.block_count=2"])], registry)
    assert (spec.student.knobs["block_length"], spec.student.knobs["block_count"]) == (0, 2)


def test_two_knobs_of_one_layer_that_exclude_one_another_are_told_before_anything_is_built(
    registry: Registry,
) -> None:
    told = problems(registry, {}, "student.block_length=4", "student.block_count=2")
    assert told == [
        "student hrnn: block_length=4 and block_count=2 exclude one another and both are set (flag); set one of them"
    ]


def test_knobs_that_a_training_selector_inherits_exclude_one_another_as_the_selectors_do(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    component = registry.find("selector", "every-n")
    assert component is not None
    monkeypatch.setattr(component.cls, "exclusive_knobs", (("n", "slots"),), raising=False)
    lower = Layer("file", {"selector": "every-n", "selector.slots": 200})
    (spec,) = specs([lower, flags({}, ["selector.n=3"])], registry)
    assert spec.selector.knobs == spec.train_selector.knobs == {"n": 3, "slots": 300}
