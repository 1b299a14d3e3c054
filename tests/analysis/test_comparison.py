from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from distillbench.analysis.comparison import chosen, compare, matching
from distillbench.cli.render import comparison
from distillbench.errors import ConfigError
from distillbench.results import store
from distillbench.results.store import Result

Make = Callable[..., Result]


def test_two_methods_are_compared_by_video_and_by_the_seeds_both_have(make_result: Make) -> None:
    better = [make_result(schedule="serial", seed=seed, knows=2.0) for seed in (0, 1, 2)]
    worse = [make_result(schedule="scratch", seed=seed, knows=0.5) for seed in (1, 2, 3)]
    results = [*better, *worse]
    found = compare(
        matching(results, ["schedule=serial"], "--a"),
        matching(results, ["schedule=scratch"], "--b"),
        200,
    )
    gap = found.differences["gap"]
    assert gap.paired_seeds == 2
    assert 0 < gap.low < gap.value < gap.high or gap.low < gap.value < gap.high
    assert gap.value == pytest.approx(gap.a - gap.b)
    assert set(found.differences) == {"gap", "map_at_20"}
    assert any("left out: 0, 3" in note for note in found.notes)


def test_every_setting_in_which_they_differ_is_listed_and_the_seed_is_none(
    make_result: Make,
) -> None:
    a, b = (
        make_result(k=3, seed=0),
        make_result("loss.rep=0.5", "schedule.head=separate", k=4, seed=1),
    )
    found = compare(chosen([a, b], a.id), chosen([a, b], b.id), 100)
    settings = {name: (one, other) for name, one, other in found.settings}
    assert settings["k"] == ("3", "4")
    assert settings["schedule.head"] == ("copy", "separate")
    assert settings["phases.student.learners.student.terms.rep.weight"] == ("0.1", "0.5")
    assert "seed" not in settings
    assert found.notes[0].startswith("one seed each")


def test_a_filter_that_meets_several_methods_says_in_what_they_differ(make_result: Make) -> None:
    results = [make_result(k=3), make_result(k=4), make_result("schedule.head=separate", k=4)]
    with pytest.raises(ConfigError, match="3 methods") as told:
        matching(results, ["schedule=serial"], "--a")
    assert "k: 3, 4" in str(told.value)
    assert "schedule.head: copy, separate" in str(told.value)


def test_a_filter_may_name_any_setting_and_hold_commas(make_result: Make) -> None:
    results = [
        make_result(loss="ce"),
        make_result(loss="rep,ce,pred"),
        make_result("schedule.head=tied"),
    ]
    assert matching(results, ["loss=rep:0.1,ce,pred", "schedule.head=tied"], "--a").results == (
        results[2],
    )
    with pytest.raises(ConfigError, match=r"did you mean 'schedule\.head'"):
        matching(results, ["schedule.heat=tied"], "--a")


def test_a_run_is_found_by_the_beginning_of_its_key(make_result: Make) -> None:
    result = make_result()
    assert chosen([result], result.id[:6]).results == (result,)
    with pytest.raises(ConfigError, match="no run is called so"):
        chosen([result], "zzz")


def test_the_same_run_in_two_folders_is_one(make_result: Make) -> None:
    one, two = make_result(folder="one"), make_result(folder="two")
    assert len(chosen([one, two], one.id).results) == 1


def changed(result: Result, part: str, name: str, value: str) -> Result:
    """Another run of the same question that differs in one fact."""
    content = json.loads(json.dumps(result.content))
    content["id"], content["setup"]["seed"], content[part][name] = f"{result.id}-b", 1, value
    path = Path(result.path.parent) / f"{content['id']}.json"
    path.write_text(json.dumps(content))
    return store.read(path)


def test_methods_that_differ_in_precision_are_told_so_and_not_their_seeds(
    make_result: Make,
) -> None:
    one = make_result()
    results = [one, changed(one, "machine", "precision", "bf16")]
    with pytest.raises(
        ConfigError, match=r"they differ in precision: bf16, fp32: add --a NAME=VALUE"
    ):
        matching(results, ["schedule=serial"], "--a")
    assert len(matching(results, ["schedule=serial", "precision=bf16"], "--a").results) == 1


def test_methods_that_differ_in_their_data_are_told_so_and_can_be_chosen(make_result: Make) -> None:
    one = make_result()
    content = one.content["data"]["fingerprints"]
    results = [one, changed(one, "data", "fingerprints", {**content, "train": "newer"})]  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"they differ in fingerprints\.train: newer, t: add"):
        matching(results, ["schedule=serial"], "--a")
    assert len(matching(results, ["fingerprints.train=newer"], "--a").results) == 1


def test_a_whole_key_is_found_though_another_begins_with_it(make_result: Make) -> None:
    one = make_result()
    two = changed(one, "machine", "precision", "int8")
    assert two.id.startswith(one.id)
    assert chosen([one, two], one.id).results == (one,)
    assert chosen([one, two], two.id).results == (two,)
    with pytest.raises(ConfigError, match="2 runs begin with that"):
        chosen([one, two], one.id[:-1])


def test_a_component_that_one_side_lacks_is_one_line(make_result: Make) -> None:
    a, b = make_result(schedule="scratch"), make_result(schedule="serial")
    found = compare(chosen([a, b], a.id), chosen([a, b], b.id), 100)
    lines = {name: (one, other) for name, one, other in found.settings}
    assert lines["teacher"] == ("-", "hrnn")
    assert lines["teacher_selector"] == ("-", "all")
    assert lines["loss.rep"] == ("-", "rep")
    assert not any(
        name.startswith(("teacher.", "teacher_selector.", "loss.rep.")) for name in lines
    )


def test_settings_are_text_in_a_markdown_table(make_result: Make) -> None:
    a, b = make_result(k=3), make_result(k=4)
    a.content["machine"]["device"] = "cp|u <b>\x1b[31m"
    drawn = comparison.render(compare(chosen([a, b], a.id), chosen([a, b], b.id), 100), "markdown")
    line = next(line for line in drawn.splitlines() if "machine.device" in line)
    assert "cp\\|u &lt;b>[31m" in line
    assert (
        len(
            {len(line.replace("\\|", "")) for line in drawn.splitlines() if line.startswith("| k ")}
        )
        == 1
    )


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "json"])
def test_a_comparison_without_a_comparable_metric_is_written_with_its_notes(
    make_result: Callable[..., Result], form: str
) -> None:
    a, b = make_result(seed=0), make_result(seed=1)
    found = compare(chosen([a, b], a.id), chosen([a, b], b.id), 100)
    bare = dataclasses.replace(found, differences={}, titles={}, notes=("nothing in common",))
    written = comparison.render(bare, form)
    assert form == "csv" or "nothing in common" in written
