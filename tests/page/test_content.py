"""What the page says of results: rows, marks, roles, intervals, curves, differences."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import metrics

from distillbench.analysis.comparison import Side, compare, settings_that_differ
from distillbench.errors import ConfigError, ResultError
from distillbench.page import details, looks
from distillbench.page.board import board_of
from distillbench.page.content import Content, found_in
from distillbench.page.roles import role_of
from distillbench.page.site import as_json
from distillbench.reports.style import LINES, MARKERS, PALETTE, Look
from distillbench.results import failures
from distillbench.results.store import Result

MakeResult = Callable[..., Result]


def content_of(*folders: Path) -> Content:
    found = found_in(folders, metrics(), pytest.fail)
    return Content(found, pytest.fail)


@pytest.fixture
def sweep(make_result: MakeResult) -> Path:
    """Two methods at two k, two seeds each, and a teacher; the second method knows more."""
    for seed in (0, 1):
        for k in (2, 4):
            make_result(schedule="scratch", loss="ce", seed=seed, k=k, knows=0.6 + 0.1 * k)
            path = make_result(
                schedule="serial", loss="rep:0.1,ce", seed=seed, k=k, knows=0.8 + 0.1 * k
            ).path
        make_result(schedule="teacher", seed=seed, knows=1.1)
    return path.parent


def row_of(content: Content, method: str, k: str = "4") -> dict[str, Any]:
    found = [
        row
        for row in content.board["rows"]
        if row["method"].startswith(method) and row["cells"]["k"]["text"] == k
    ]
    assert len(found) == 1
    return dict(found[0])


def test_rows_are_means_over_seeds_best_first_with_an_interval(sweep: Path) -> None:
    rows = content_of(sweep).board["rows"]
    assert len(rows) == 5
    values = [row["cells"]["gap"]["value"] for row in rows]
    assert values == sorted(values, reverse=True)
    for row in rows:
        cell = row["cells"]["gap"]
        assert cell["low"] < cell["value"] < cell["high"]
        assert len(row["runs"]) == 2
        assert row["cells"]["seeds"]["text"] == "2"


def test_the_best_row_has_the_leaderboards_mark(sweep: Path) -> None:
    rows = content_of(sweep).board["rows"]
    assert rows[0]["cells"]["gap"]["mark"] == "≈"
    assert {row["cells"]["gap"].get("mark") for row in rows} <= {"≈", None}


def test_methods_have_the_names_and_looks_of_the_reports(sweep: Path) -> None:
    content = content_of(sweep)
    names = {row["method"] for row in content.board["rows"]}
    assert names == {"scratch uniform ce", "serial uniform rep,ce", "teacher all ce"}
    colors = {content.board["methods"][name]["color"] for name in names}
    assert colors <= set(PALETTE)
    assert len(colors) == 3


def test_a_runs_role_is_read_from_what_teaches_it(make_result: MakeResult) -> None:
    roles = {
        "taught": make_result(schedule="serial"),
        "alone": make_result(schedule="scratch"),
        "teacher": make_result(schedule="teacher"),
    }
    assert {role: role_of(result.content) for role, result in roles.items()} == {
        role: (role, "") for role in roles
    }
    untrained = make_result("schedule.teacher=untrained", schedule="serial")
    assert role_of(untrained.content) == ("control", "a control: its teacher is untrained")
    shuffled = make_result("schedule.targets=shuffled", schedule="serial")
    role, reason = role_of(shuffled.content)
    assert role == "control"
    assert "another video" in reason


def test_controls_and_runs_that_were_still_improving_are_shown_as_that(
    make_result: MakeResult,
) -> None:
    control = make_result("schedule.targets=shuffled", schedule="serial")
    for epoch in control.content["history"]:
        for learnt in epoch["networks"].values():
            learnt["best"] = epoch["epoch"]
    control.path.write_text(json.dumps(control.content))
    (row,) = content_of(control.path.parent).board["rows"]
    assert row["tags"] == ["control", "still improving"]
    assert any(note.startswith("still improving: the student") for note in row["notes"])


def test_a_failed_run_is_a_row_with_its_reason(
    make_result: MakeResult, make_spec: Callable[..., Any]
) -> None:
    folder = make_result(schedule="scratch").path.parent
    failures.keep(folder, make_spec(schedule="serial"), "failed", "the loss was not finite")
    content = content_of(folder)
    row = row_of(content, "serial")
    assert row["tags"] == ["failed"]
    assert row["notes"] == ["failed: the loss was not finite"]
    assert row["cells"]["status"]["text"] == "failed"
    assert "gap" not in row["cells"]
    assert content.details["runs"][row["run"]]["notes"] == ["failed: the loss was not finite"]


def test_failures_alone_are_a_page_too(make_spec: Callable[..., Any], tmp_path: Path) -> None:
    failures.keep(tmp_path, make_spec(schedule="serial"), "stopped", "it had fallen behind")
    content = content_of(tmp_path)
    assert [row["tags"] for row in content.board["rows"]] == [["stopped"]]
    assert content.details["comparisons"]["pairs"] == {}


def test_differences_are_those_of_compare(sweep: Path) -> None:
    content = content_of(sweep)
    found = found_in([sweep], metrics(), pytest.fail)
    board = board_of(found, pytest.fail)
    pairs = content.details["comparisons"]["pairs"]
    assert len(pairs) == 10
    for pair, told in pairs.items():
        a, b = (board.rows[int(place)] for place in pair.split("-"))
        expected = compare(Side("a", a.results), Side("b", b.results))
        assert told["metrics"].keys() == expected.differences.keys()
        for name, difference in expected.differences.items():
            numbers = (difference.value, difference.low, difference.high)
            assert told["metrics"][name][:3] == pytest.approx(numbers, abs=2e-6)
            assert told["metrics"][name][5] == pytest.approx(difference.p, rel=0.01)
            assert told["metrics"][name][6] == difference.paired_seeds
        assert told["notes"][0] == list(expected.notes)


def test_the_settings_of_two_runs_tell_how_they_differ(sweep: Path) -> None:
    content = content_of(sweep)
    found = found_in([sweep], metrics(), pytest.fail)
    a, b = found.results[:2]
    runs = content.details["runs"]
    for name, ours, theirs in settings_that_differ(a, b):
        assert runs[a.id]["settings"].get(name, "-") == ours
        assert runs[b.id]["settings"].get(name, "-") == theirs


def test_frames_needed_are_read_off_between_the_k_that_were_run(make_result: MakeResult) -> None:
    for k, knows in ((2, 0.3), (4, 1.2)):
        folder = make_result(schedule="scratch", k=k, knows=knows).path.parent
    make_result(schedule="teacher", knows=1.0)
    content = content_of(folder)
    (data,) = content.board["data"]
    budget = data["budget"]["gap"]
    assert budget["goal"] == pytest.approx(0.99 * budget["whole"])
    (curve,) = budget["curves"]
    assert curve["needed"] in (3, 4)
    ks = [content.board["rows"][row]["cells"]["k"]["text"] for row in curve["rows"]]
    assert ks == ["2", "4"]


def test_without_a_network_that_sees_all_frames_there_is_no_goal(make_result: MakeResult) -> None:
    folder = make_result(schedule="scratch").path.parent
    (data,) = content_of(folder).board["data"]
    assert data["budget"]["gap"]["goal"] is None
    assert data["budget"]["gap"]["curves"][0]["needed"] is None


def test_each_data_set_is_ranked_by_itself(make_result: MakeResult, tmp_path: Path) -> None:
    make_result(schedule="scratch")
    make_result(schedule="serial")
    other = make_result(schedule="serial", seed=5, folder="other", knows=3.0)
    content = json.loads(other.path.read_text())
    content["setup"]["data"]["name"] = "elsewhere"
    content["data"]["fingerprints"]["test"] = "elsewhere"
    other.path.write_text(json.dumps(content))
    found = found_in([tmp_path / "results", tmp_path / "other"], metrics(), print)
    board = Content(found, lambda _: None).board
    assert [data["name"] for data in board["data"]] == ["digits", "elsewhere"]
    assert [row["cells"]["data"]["text"] for row in board["rows"]] == ["digits"] * 2 + ["elsewhere"]


def test_a_run_says_where_it_came_from_and_how_to_repeat_it(make_result: MakeResult) -> None:
    result = make_result(schedule="serial")
    told = content_of(result.path.parent).details["runs"][result.id]
    assert told["command"] == f"distillbench reproduce {result.id} --results {result.path.parent}"
    assert told["settings"]["schedule"] == "serial"
    assert told["sources"]["schedule"] == "flag"
    assert told["sections"]["provenance"]["result file"] == result.path.name
    assert told["sections"]["cost"]["macs"] == "4 k"


def test_folders_of_whoever_made_a_settings_file_are_not_told(make_result: MakeResult) -> None:
    result = make_result(schedule="serial")
    result.content["sources"]["k"] = "/home/somebody/secret/settings.toml"
    result.path.write_text(json.dumps(result.content))
    told = content_of(result.path.parent).details["runs"][result.id]
    assert told["sources"]["k"] == "settings.toml"


def test_learning_curves_are_kept_once_and_thinned_where_they_are_many(
    make_result: MakeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (0, 1):
        folder = make_result("training.epochs=8", schedule="scratch", seed=seed).path.parent
    whole = content_of(folder).details
    assert whole["step"] == 1
    assert len(whole["series"]) == 3  # a loss and two metrics, alike for both seeds
    assert [len(series["values"]) for series in whole["series"]] == [8, 8, 8]
    monkeypatch.setattr(details, "MOST_VALUES", 13)
    thin = content_of(folder).details
    assert thin["step"] == 4
    assert [series["values"][-1] for series in thin["series"]] == [
        series["values"][-1] for series in whole["series"]
    ]


def test_a_folder_without_results_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no results in .* yet; distillbench run makes the first"
    ):
        found_in([tmp_path], metrics(), pytest.fail)
    with pytest.raises(ResultError, match="there is no folder of results"):
        found_in([tmp_path / "nowhere"], metrics(), pytest.fail)


def test_damaged_files_are_left_out_named_and_counted(make_result: MakeResult) -> None:
    folder = make_result(schedule="scratch").path.parent
    (folder / "broken.json").write_text('{"format": 2,')
    (folder / "future.json").write_text('{"format": 99}')
    told: list[str] = []
    content = Content(found_in([folder], metrics(), told.append), pytest.fail)
    assert content.board["skipped"] == 2
    assert any("broken.json" in line and line.startswith("skipped: ") for line in told)
    assert any("install a newer one" in line for line in told)


def test_rows_without_predictions_have_no_interval_and_say_why(make_result: MakeResult) -> None:
    result = make_result(schedule="scratch")
    (result.path.parent / result.record.files.predictions).unlink()
    told: list[str] = []
    content = Content(found_in([result.path.parent], metrics(), print), told.append)
    assert "low" not in content.board["rows"][0]["cells"]["gap"]
    assert content.details["comparisons"]["pairs"] == {}
    assert len(told) == 1
    assert told[0].startswith("no interval: ")


def test_old_formats_are_on_the_page(tmp_path: Path) -> None:
    folder = Path(__file__).parents[1] / "results" / "format1"
    content = Content(found_in([folder], metrics(), print), lambda _: None)
    assert content.board["rows"]
    json.loads(as_json(content.board))
    json.loads(as_json(content.details))


def test_the_same_results_make_the_same_page(sweep: Path) -> None:
    one, two = (
        [gzip.compress(as_json(part), mtime=0) for part in (content.board, content.details)]
        for content in (content_of(sweep), content_of(sweep))
    )
    assert one == two


@pytest.mark.parametrize("color", PALETTE)
def test_every_color_can_be_told_from_a_dark_ground(color: str) -> None:
    assert looks.contrast(looks.on_dark(color), looks.DARK) >= 3.9


def test_every_look_can_be_drawn() -> None:
    for marker in (*MARKERS, "."):
        for line in LINES:
            assert looks.drawn(Look("#332288", marker, line))["shape"].startswith("M")


def test_contrast_is_that_of_wcag() -> None:
    assert looks.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert looks.contrast("#777777", "#777777") == 1
