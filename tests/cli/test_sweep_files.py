"""Settings of many runs: lists in flags, and sweep files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from running import all_specs

from distillbench import api, hookimpl
from distillbench.config.grid import axis
from distillbench.config.layers import read_file, read_sweep_file
from distillbench.errors import ConfigError
from distillbench.registry.discovery import discover

SWEEP_FILES = Path(__file__).resolve().parents[2] / "plugins" / "distillbench_plugins" / "sweeps"

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("k", "6", "6"),
        ("k", "6,10,15", ["6", "10", "15"]),
        ("seed", "0:3", ["0", "1", "2"]),
        ("selector", "uniform, random", ["uniform", "random"]),
        ("loss", "rep,ce", "rep,ce"),
        ("loss", "rep,ce;ce", ["rep,ce", "ce"]),
        ("data.features", "rgb,audio", "rgb,audio"),
        ("student.cell_size", "64;128", ["64", "128"]),
        ("training.learning_rate", "0.1,0.2", ["0.1", "0.2"]),
        ("loss.rep", "0.1;1", ["0.1", "1"]),
    ],
)
def test_a_flag_is_one_value_or_a_list(name: str, text: str, value: object) -> None:
    assert axis(name, text) == value


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    return path


TUNED = """
k = [3, 4]
[[grid]]
schedule = "teacher"
[[grid]]
schedule = "scratch"
tuned_arm = "student alone"
[[grid]]
schedule = "serial"
loss = "rep,ce"
tuned_arm = "rep, dropout [b]"
"""


def test_a_sweep_may_make_some_arms_of_what_a_tuning_wrote(
    tmp_path: Path, command: Command
) -> None:
    path, folder = write(tmp_path, TUNED), tmp_path / "results"
    assert len(api.request_sweep(path, results=folder).plan.jobs) == 2 * 3 - 1  # a teacher has no k
    some = api.request_sweep(path, arms=["rep, dropout [b]"], k="5,6", results=folder)
    assert [job.spec.k for job in some.plan.jobs] == [5, 6]
    assert {job.spec.tuned_arm for job in some.plan.jobs} == {"rep, dropout [b]"}
    arms = ["--arm", "student alone", "--arm", "rep, dropout [b]"]
    code, out, err = command("sweep", path, *arms, "--results", folder, "--dry-run")
    assert code == 0
    assert "runs      4 to make" in err
    assert out == ""


def test_a_sweep_names_the_runs_of_a_tuning_by_their_arms(tmp_path: Path, command: Command) -> None:
    own = '[[grid]]\nschedule = "serial"\nloss = "rep,ce"\nk = 3\ntuned_arm = "{}"\nset.loss.rep = {}\n'
    path = write(
        tmp_path, own.format("rep [b]", 0.3) + own.format(r"\u001b[31mrep[/]\nseed 7", 0.2)
    )
    code, _, err = command("sweep", path, "--results", tmp_path, "--dry-run")
    assert code == 0
    assert "digits rep [b] uniform-3 seed 0\n" in err
    assert "digits [31mrep[/] seed 7 uniform-3 seed 0\n" in err


def test_of_two_arms_with_the_same_settings_each_can_be_made(tmp_path: Path) -> None:
    one = '[[grid]]\nschedule = "scratch"\ntuned_arm = "{}"\n'
    path = write(tmp_path, one.format("first") + one.format("second"))
    assert [spec.tuned_arm for spec in all_specs(path, {}, [])] == ["first"]
    request = api.request_sweep(path, arms=["second"], results=tmp_path)
    assert [spec.tuned_arm for spec in request.specs] == ["second"]


def test_an_arm_that_no_run_is_of_is_refused_with_those_there_are(
    tmp_path: Path, command: Command
) -> None:
    path = write(tmp_path, TUNED)
    code, _, err = command("sweep", path, "--arm", "rep", "--dry-run")
    assert code == 2
    assert "no run is of arm 'rep'; arms are 'student alone', 'rep, dropout [b]'" in err
    code, _, err = command("sweep", "--schedule", "scratch", "--arm", "rep", "--dry-run")
    assert code == 2
    assert "arms are none: no tuning chose their settings" in err


def test_a_files_grids_are_products_of_their_own_and_runs_are_made_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'k = [3, 4]\nseed = "0:2"\n[[grid]]\nschedule = "teacher"\n[[grid]]\nschedule = ["scratch"]\n'
        '[[grid]]\nschedule = "scratch"\nset.schedule.epochs_factor = [1, 2]\n',
    )
    found = all_specs(path, {}, [])
    assert len(found) == 2 + 4 + 4
    assert {spec.training.threads for spec in found} == {1}
    assert len(all_specs(path, {"k": "3"}, [])) == 2 + 2 + 2


def test_the_settings_for_one_data_set_hold_only_for_it(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'data = "digits"\nk = 4\n[when.digits]\nk = [5, 6]\nset.data.train = 64\n[when.synthetic]\nk = 7\n',
    )
    assert sorted(spec.k for spec in all_specs(path, {}, [])) == [5, 6]
    assert [spec.k for spec in all_specs(path, {"data": "synthetic"}, [])] == [7]
    both = all_specs(path, {"data": "synthetic,digits"}, [])
    assert sorted((spec.data.name, spec.k) for spec in both) == [
        ("digits", 5),
        ("digits", 6),
        ("synthetic", 7),
    ]
    assert {spec.k for spec in all_specs(path, {"k": "9"}, [])} == {9}


def test_the_errors_of_all_grids_are_reported_together(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[[grid]]\nschedule = "seriel"\n[[grid]]\nselector = ["unifrom", "first"]\nk = 0\n',
    )
    with pytest.raises(ConfigError) as raised:
        all_specs(path, {}, [])
    text = str(raised.value)
    assert "did you mean 'serial'" in text
    assert "did you mean 'uniform'" in text
    assert "k must be an integer" in text


@pytest.mark.parametrize(
    "text", ["grid = 3\n", "[grid]\nk = 1\n", "when = 2\n", "[student]\ncell_size = 3\n", "k = ["]
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        read_sweep_file(write(tmp_path, text))


def test_run_refuses_a_file_of_grids(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="distillbench sweep"):
        read_file(write(tmp_path, "[[grid]]\nk = 3\n"))


OF_THE_PAPER = sorted(each for each in SWEEP_FILES.glob("*.toml") if each.stem != "demo")


@pytest.mark.parametrize("path", OF_THE_PAPER, ids=lambda path: path.stem)
def test_the_papers_sweep_files_can_be_run(path: Path) -> None:
    published = all_specs(path, {}, [])
    assert {spec.data.name for spec in published} == {"yt8m"}
    assert {spec.student.knobs["cell_size"] for spec in published} == {1024}
    for data, cell in (("digits", 64), ("audioset", 256)):
        specs = all_specs(path, {"data": data}, [])
        assert {spec.student.knobs["cell_size"] for spec in specs} == {cell}
        longest = {"digits": 60, "audioset": 10}[data]
        assert all(spec.k <= longest for spec in specs if "student" in spec.networks)


def test_an_installed_sweep_file_is_found_by_its_name(command: Command, tmp_path: Path) -> None:
    arguments = ["sweep", "figure3", "--data", "digits", "--results", tmp_path / "r", "--dry-run"]
    code, _, err = command(*arguments)
    assert code == 0, err
    assert "1 to make" in err


def test_a_file_in_the_current_folder_comes_before_an_installed_sweep_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(all_specs(Path("figure3"), {"data": "digits"}, [])) == 1
    Path("figure3").mkdir()
    assert len(all_specs(Path("figure3"), {"data": "digits"}, [])) == 1
    Path("figure3").rmdir()
    Path("figure3").write_text("k = [3, 4]\n")
    assert {spec.k for spec in all_specs(Path("figure3"), {}, [])} == {3, 4}


def test_the_source_of_a_setting_is_the_name_of_the_installed_sweep_file() -> None:
    (spec,) = all_specs(Path("figure3"), {"data": "digits"}, [])
    assert spec.sources["k"] == "figure3"


@pytest.mark.parametrize("name", ["sweep", "run"])
def test_an_unknown_sweep_file_is_reported_with_the_nearest_and_all_names(
    command: Command, name: str
) -> None:
    code, _, err = command(name, "tabel1")
    message = " ".join(err.split())
    assert code == 2
    assert "no sweep file is called 'tabel1', did you mean 'table1'?" in message
    assert "there are: controls, demo, figure2, figure3, table1, table2, table3, table4" in message
    assert "tabel1.toml" in message


def test_a_missing_file_is_still_a_missing_file(command: Command) -> None:
    for path in ("table1.toml", "./nowhere/table1"):
        code, _, err = command("sweep", path)
        assert code == 2
        assert "cannot be read" in err


def test_a_plugin_whose_sweep_files_fail_is_named_only_if_a_sweep_file_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = discover()
    module = ModuleType("strange")

    def sweep_files() -> dict[str, Path]:
        raise KeyError("licence")

    monkeypatch.setattr(module, "sweep_files", hookimpl(sweep_files), raising=False)
    registry.hooks.register(module, name="third-party:strange")
    assert registry.sweep_file("table1").is_file()
    with pytest.raises(
        ConfigError, match="the sweep files of third-party:strange failed: KeyError: 'licence'"
    ):
        registry.sweep_file("table9")


def test_a_dry_run_prints_the_plan_and_trains_nothing(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    code, _, err = command(
        "sweep",
        *tiny,
        "--schedule",
        "serial,scratch",
        "--seed",
        "0:2",
        "--results",
        tmp_path / "r",
        "--dry-run",
    )
    assert code == 0
    assert "4 to make, 0 stored already" in err
    assert "2 to train, 0 stored" in err
    assert "multiply-accumulates" in err
    assert not (tmp_path / "r").exists()


def test_compare_needs_two_runs_or_two_filters(command: Command) -> None:
    for arguments in (["abc"], ["abc", "def", "--a", "k=3", "--b", "k=4"], ["--a", "k=3"], []):
        code, _, err = command("compare", *arguments)
        assert code == 2
        assert "two runs, or --a and --b" in err


def test_a_family_of_contrasts_names_its_runs_itself(command: Command, tmp_path: Path) -> None:
    for arguments in (["abc", "def"], ["--a", "k=3", "--b", "k=4"], ["--where", "k=3"]):
        code, _, err = command("compare", "--holm", tmp_path / "contrasts.toml", *arguments)
        assert code == 2
        assert "name no runs beside it" in err
    code, _, err = command("compare", "--holm", tmp_path / "contrasts.toml")
    assert (code, "contrasts.toml' cannot be read" in err) == (2, True)


def test_a_grid_that_is_too_large_is_refused_at_once(command: Command, tiny: list[str]) -> None:
    code, _, err = command("sweep", *tiny, "--seed", "0:100000000", "--dry-run")
    assert (code, "seed = 0:100000000 has more than 100,000 values" in err) == (2, True)
    code, _, err = command("sweep", *tiny, "--seed", "0:2000", "--k", "1:1000", "--dry-run")
    assert (code, "runs; a sweep makes at most 100,000" in err) == (2, True)


@pytest.mark.parametrize("content", ["k = " + "[" * 5000, "k = " + "9" * 5000])
def test_a_file_that_python_cannot_read_is_one_clear_error(
    command: Command, tmp_path: Path, content: str
) -> None:
    (tmp_path / "q.toml").write_text(content)
    code, _, err = command("run", tmp_path / "q.toml", "--plan")
    assert (code, "is not valid TOML" in err) == (2, True)


def test_a_file_that_is_a_pipe_is_not_waited_for(command: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "q.toml")
    code, _, err = command("run", tmp_path / "q.toml", "--plan")
    assert (code, "it is not a regular file" in err) == (2, True)
