"""The commands, as a user calls them."""

from __future__ import annotations

import csv
import importlib
import inspect
import io
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]
REPOSITORY = Path(__file__).resolve().parents[2]


def test_a_run_ends_on_the_leaderboard(command: Command, tiny: list[str], tmp_path: Path) -> None:
    results = tmp_path / "results"
    for schedule in ("teacher", "scratch", "serial", "parallel"):
        code, out, err = command("run", *tiny, "--schedule", schedule, "--results", results)
        assert code == 0, err
        assert "GAP@20" in out
        assert "plan" in err
    code, out, _ = command("leaderboard", results)
    assert code == 0
    assert all(
        word in out
        for word in ("hrnn teacher", "hrnn scratch", "hrnn serial", "hrnn parallel", "uniform-4")
    )
    rows = json.loads(command("leaderboard", results, "--format", "json", "--sort", "macs")[1])
    assert [row["macs"] for row in rows] == sorted(row["macs"] for row in rows)
    assert (
        len(
            list(
                csv.reader(
                    io.StringIO(
                        command(
                            "leaderboard",
                            results,
                            "--format",
                            "csv",
                            "--where",
                            "k=4",
                            "--top",
                            "2",
                        )[1]
                    )
                )
            )
        )
        == 3
    )
    assert command("leaderboard", results, "--format", "markdown")[1].startswith("| run")


def test_a_file_is_run_and_flags_override_it(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('schedule = "scratch"\nselector = "first"\nseed = 3\n')
    assert command("run", file, *tiny, "--seed", 5, "--results", tmp_path / "r")[0] == 0
    row = json.loads(command("leaderboard", tmp_path / "r", "--format", "json", "--each")[1])[0]
    assert (row["selector"], row["seed"], row["schedule"]) == ("first", 5, "scratch")


def test_a_stored_run_is_not_made_again(command: Command, tiny: list[str], tmp_path: Path) -> None:
    arguments = ["run", *tiny, "--schedule", "scratch", "--results", tmp_path]
    command(*arguments)
    assert "stored already" in command(*arguments)[2]


def test_training_may_see_other_frames_than_evaluation(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    arguments = [
        "run",
        *tiny,
        "--schedule",
        "scratch",
        "--selector",
        "uniform",
        "--train-selector",
        "random",
        "--results",
        tmp_path,
    ]
    assert command(*arguments)[0] == 0
    row = json.loads(command("leaderboard", tmp_path, "--format", "json")[1])[0]
    assert (row["selector"], row["train_selector"]) == ("uniform", "random")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--k", "0"], "k must be an integer of at least 1; found 0"),
        (["--k", "-2"], "k must be an integer of at least 1; found -2"),
        (
            ["--k", "13"],
            "k = 13 is more than any video has; the longest video of digits has 12 frames",
        ),
        (["--selector", "unifrm"], "did you mean 'uniform'?"),
        (["--student", "x"], "no student is called 'x'"),
        (["--set", "student.cell_size=big"], "knob 'cell_size' takes int, found 'big'"),
        (["--set", "student.cell_size"], "--set takes SECTION.KNOB=VALUE"),
        (["--loss", "rep:much"], "the weight of the loss 'rep' must be a number"),
        (["--loss", "rep:-1,ce"], "the weight of the loss 'rep' must not be negative; found -1"),
        (["--loss", "rep,rep"], "--loss names 'rep' twice in 'rep,rep'"),
        (["--loss", ""], "a name is missing in ''"),
        (
            ["--loss", "rep:0,ce:0"],
            "every loss of the student has the weight 0 (rep, ce), so nothing would be learnt",
        ),
        (["--set", "loss.ce=nan"], "the weight of the loss 'ce' must be finite"),
        (
            ["--schedule", "scratch", "--loss", "pred"],
            "the schedule 'scratch' trains on ce and would use nothing of --loss pred",
        ),
        (["--set", "student.cell_size=-4"], "cell_size=-4 is not at least 1"),
        (["--threads", "999"], "training.threads = 999 is more than this machine has"),
        (["--threads", "-1"], "training.threads must be an integer of at least 0"),
        (
            ["--seed", "9" * 25],
            "the result of this run could not be stored: seed is a number of more than 64 bits",
        ),
        (
            ["--set", "training.clip=1e300"],
            "training.clip is 1e+300; it must be a number below 1e+100",
        ),
        (["--set", "student.layers=100000000"], "layers=100000000 is not at most 64"),
        (["--device", "tpu"], "--device takes auto, cpu or cuda; found 'tpu'"),
        (["--set", "student.cell_size=9"], "needs encodings of equal width"),
        (["nothere.toml"], "'nothere.toml' cannot be read"),
    ],
)
def test_what_a_user_can_correct_gets_one_clear_error(
    command: Command, tiny: list[str], tmp_path: Path, arguments: list[str], message: str
) -> None:
    results = tmp_path / "results"
    code, out, err = command("run", *tiny, *arguments, "--results", results)
    assert code == 2
    assert message in " ".join(err.split())
    assert "Traceback" not in err + out
    assert not list(results.glob("*.json"))


@pytest.mark.parametrize(
    "wrong",
    [
        ["--k", "13"],
        ["--set", "student.cell_size=-4"],
        ["--threads", "999"],
        ["--data", "audioset", "--data-dir", "/no/such/folder"],
        ["--set", "student.cell_size=9"],
        ["--schedule", "scratch", "--loss", "pred"],
        ["--observe", "nobody"],
        ["--cache-budget", "much"],
    ],
)
def test_a_plan_refuses_what_the_run_would_refuse(
    command: Command, tiny: list[str], tmp_path: Path, wrong: list[str]
) -> None:
    arguments = ["run", *tiny, "--results", tmp_path / "results", *wrong]
    code, _, err = command(*arguments)
    planned_code, _, planned = command(*arguments, "--plan")
    assert (code, planned_code) == (2, 2)
    assert planned.splitlines()[-1] == err.splitlines()[-1]
    assert not (tmp_path / "results").exists() or not list((tmp_path / "results").iterdir())


def test_a_plan_refuses_a_place_that_takes_no_results(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = command("run", *tiny, "--plan", "--results", tmp_path / "file" / "results")
    assert code == 2
    assert "file' is not a folder that files can be written to" in err


def test_a_plan_lists_the_losses_a_schedule_does_not_use(command: Command, tiny: list[str]) -> None:
    _, _, err = command("run", *tiny, "--schedule", "scratch", "--loss", "rep,ce", "--plan")
    assert "rep: the schedule scratch gives these losses to no network" in err
    assert "not used" not in command("run", *tiny, "--schedule", "scratch", "--plan")[2]


def test_without_a_command_the_first_steps_are_printed(command: Command) -> None:
    code, out, _ = command()
    assert code == 0
    assert "First steps" in out
    assert command("data")[0] == 0


@pytest.mark.parametrize("name", ["sweep", "run", "leaderboard", "compare", "report"])
def test_help_shows_its_whole_text(command: Command, name: str) -> None:
    """Rich would read `[[grid]]` as markup."""
    module = importlib.import_module(f"distillbench.cli.{name}")
    documented = inspect.getdoc(getattr(module, name)) or ""
    assert "".join(documented.split()) in "".join(command(name, "--help")[1].split())


def test_a_traceback_is_shown_on_request(command: Command) -> None:
    with pytest.raises(Exception, match="no selector"):
        command("run", "--selector", "nonesuch", "--traceback")


def test_results_that_cannot_be_written_are_refused_before_training(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = command("run", *tiny, "--results", tmp_path / "file" / "results")
    assert code == 2
    assert "cannot be written" in err
    assert "phase" not in err.partition("error:")[2]


def test_a_leaderboard_without_results_is_reported(command: Command, tmp_path: Path) -> None:
    assert "no results yet" in command("leaderboard", tmp_path)[2]
    assert command("leaderboard", tmp_path / "no")[0] == 2


def test_a_damaged_result_is_named_beside_the_others(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    command("run", *tiny, "--schedule", "scratch", "--results", tmp_path)
    (tmp_path / "broken.json").write_text("{")
    code, out, err = command("leaderboard", tmp_path)
    assert code == 0
    assert "broken.json" in err
    assert "hrnn scratch" in out


def test_short_names_of_columns_sort_and_group(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    command("run", *tiny, "--schedule", "scratch", "--results", tmp_path)
    code, out, err = command("leaderboard", tmp_path, "--group-by", "params", "--sort", "map20")
    assert (code, err) == (0, "")
    assert out.startswith("parameters")


@pytest.mark.parametrize(
    "flags", [["--where", "kk=3"], ["--where", "k"], ["--sort", "gop"], ["--group-by", "settings"]]
)
def test_a_column_that_is_not_there_is_refused(
    command: Command, tiny: list[str], tmp_path: Path, flags: list[str]
) -> None:
    command("run", *tiny, "--schedule", "scratch", "--results", tmp_path)
    code, _, err = command("leaderboard", tmp_path, *flags)
    assert code == 2
    if flags[1] != "k":
        assert f"knows no column '{flags[1].partition('=')[0]}'" in err
        assert "there are: data, encoder, schedule, selector, k, loss, seed, gap" in err
        assert "more: distillbench leaderboard --format csv shows them" in err
        assert len(err) < 400


def test_a_run_is_shown_in_numbers_that_can_be_read_and_without_empty_sections(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    command("run", *tiny, "--schedule", "scratch", "--results", tmp_path)
    (path,) = tmp_path.glob("*.json")
    code, out, _ = command("show", path)
    assert code == 0
    numbers = re.findall(r"\d+\.\d+", out)
    assert numbers
    assert max(len(number.replace(".", "").lstrip("0")) for number in numbers) <= 6
    assert "fidelity to the teacher" not in out
    assert re.search(r"student\.examples +128", out)
    assert "measured" in out


def test_what_is_sorted_by_words_may_hold_numbers_and_gaps(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    command("run", *tiny, "--schedule", "serial", "--results", tmp_path)
    command("run", *tiny, "--schedule", "teacher", "--results", tmp_path)
    for column in ("k", "preset", "loss"):
        code, out, _ = command("leaderboard", tmp_path, "--sort", column, "--format", "csv")
        assert code == 0
        assert out.count("\n") == 3


def test_plugins_lists_every_component_with_its_distribution(command: Command) -> None:
    code, out, _ = command("plugins")
    assert code == 0
    for name in ("digits", "hrnn", "moe", "uniform", "rep-intermediate", "serial", "released-code"):
        assert name in out
    assert "distillbench 0." in out


def test_one_plugin_is_shown_with_its_knobs(command: Command) -> None:
    _, out, _ = command("plugins", "hrnn")
    assert all(word in out for word in ("cell_size", "1024", "concat | top", "teacher", "student"))
    code, _, err = command("plugins", "hrn")
    assert code == 2
    assert "did you mean 'hrnn'?" in err


def test_predictions_of_any_program_are_scored(command: Command, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("VideoId,LabelConfidencePairs\na,0 0.9 1 0.2\nb,1 0.8 0 0.7\n")
    (tmp_path / "l.csv").write_text("VideoId,Labels\na,0\nb,0\n")
    code, out, err = command("score", tmp_path / "p.csv", tmp_path / "l.csv", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["hit_at_1"] == 0.5
    assert "Hit@1" in command("score", tmp_path / "p.csv", tmp_path / "l.csv")[1]
    assert command("score", tmp_path / "no.csv", tmp_path / "l.csv")[0] == 2


def test_real_shards_are_inspected(command: Command, real_data: Path) -> None:
    code, out, _ = command("data", "inspect", real_data)
    assert code == 1  # one shard is video-level
    assert command("data", "inspect", real_data / "audioset")[0] == 0
    assert "bal_train07.tfrecord" in out
    assert "22,161" in out
    assert "this is a video-level shard" in out


def test_help_imports_neither_torch_nor_pandas() -> None:
    program = "import sys, distillbench.cli.app; print([m for m in ('torch', 'pandas', 'numpy', 'sklearn') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_entry_point_of_the_project_is_installed() -> None:
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"][
        "entry-points"
    ]["distillbench"]
    installed = {
        entry.name: entry.value
        for entry in entry_points(group="distillbench")
        if entry.dist and entry.dist.name == "distillbench"
    }
    assert installed == declared, "install the project again: pip install -e ."
