"""What every report keeps: clear errors where runs are missing, and sweep files that train them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from reporting import SUBJECTS, Make, made, stored
from running import installed

from distillbench.config.run_spec import RunSpec
from distillbench.errors import ConfigError
from distillbench.results import failures
from distillbench.results.store import Result


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("there", ["nothing", "damaged", "failures", "int8", "another condition"])
def test_a_report_of_nothing_says_what_is_there_instead(
    make_result: Make,
    make_spec: Callable[..., RunSpec],
    command: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    subject: str,
    there: str,
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    arguments = []
    if there == "damaged":
        (folder / "x.json").write_text("{")
    elif there == "failures":
        failures.keep(folder, make_spec(k=3), "failed", "the disk is full")
    elif there == "int8":
        path = make_result().path
        path.write_text(path.read_text().replace('"fp32"', '"int8"'))
    elif there == "another condition":
        make_result(k=3)
        arguments = ["--where", "k=4"]
    code, out, err = command("report", subject, "--results", folder, *arguments)
    assert (code, out) == (2, "")
    said = {
        "nothing": f"no results in '{folder}' yet; distillbench run makes the first",
        "damaged": f"no results in '{folder}' yet, but 1 damaged file; distillbench run makes the first",
        "failures": f"no results in '{folder}' yet, but 1 run without a result; distillbench run makes the first",
        "int8": "there are 1 of networks in 8 bits or exported alone; distillbench run makes the first",
        "another condition": "none of 1 results meets k=4",
    }
    assert said[there] in err


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("schedule", ["teacher", "scratch", "serial"])
def test_a_report_of_one_run_ends_in_a_table_or_a_clear_error(
    make_result: Make, command: Callable[..., tuple[int, str, str]], subject: str, schedule: str
) -> None:
    folder = make_result(schedule=schedule).path.parent
    code, _, err = command(
        "report", subject, "--results", folder, "--format", "csv", "--out", folder / "out"
    )
    assert code in (0, 2), err


def test_several_data_sets_are_told_apart_by_the_user(make_result: Make, tmp_path: Path) -> None:
    result = make_result()
    other = Result(
        result.path,
        {
            **result.content,
            "setup": {
                **result.content["setup"],
                "data": {**result.content["setup"]["data"], "name": "birds"},
            },
        },
    )
    with pytest.raises(ConfigError, match="birds and digits"):
        stored([result, other])
    assert stored([result, other], ["data=birds"]).data == "birds"


def test_a_report_without_its_runs_names_an_installed_sweep_file_that_trains_them(
    make_result: Make,
) -> None:
    runs = stored([make_result(schedule="scratch", selector="first")])
    teacher = stored([make_result(schedule="teacher")])
    named = []
    for make in (
        lambda: made("table2", runs),
        lambda: made("table3", runs),
        lambda: made("controls", runs),
        lambda: made("figure2", runs),
        lambda: made("figure3", runs),
        lambda: made("budget", teacher),
    ):
        with pytest.raises(ConfigError) as told:
            make()
        found = re.search(r"distillbench sweep (\w+) trains", str(told.value))
        assert found is not None, told.value
        named.append(found[1])
        assert installed().sweep_file(found[1]).is_file()
    assert named == ["table2", "table3", "controls", "figure2", "figure3", "table1"]
