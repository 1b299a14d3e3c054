"""distillbench from Python finds what the command line finds, and raises what the command line prints."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY
from running import installed

import distillbench
from distillbench import Failure, Run, api
from distillbench.errors import ConfigError, DataError, DistillbenchError, ResultError
from distillbench.experiments.quantize import quantize

Command = Callable[..., tuple[int, str, str]]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "python-api.md"
SMALL: dict[str, object] = {
    name: int(value) for name, _, value in (assignment.partition("=") for assignment in TINY)
} | {"training.threads": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of two methods with two seeds each."""
    folder = tmp_path_factory.mktemp("results")
    for schedule in ("serial", "scratch"):
        for seed in (0, 1):
            distillbench.run(SMALL, schedule=schedule, seed=seed, k=4, results=folder, device="cpu")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return distillbench.run(SMALL, schedule="serial", seed=0, k=4, results=folder, device="cpu")


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A copy of the results, to be written into."""
    return Path(shutil.copytree(folder, tmp_path / "copied"))


def test_a_run_is_the_one_that_the_command_makes(
    run: Run, folder: Path, command: Command, tiny: list[str]
) -> None:
    flags = ["--schedule", "serial", "--threads", "1", "--device", "cpu", "--results", folder]
    code, out, err = command("run", *tiny, *flags)
    assert code == 0, err
    assert "stored already" in err
    assert str(run.path) in out
    assert run.result == json.loads(run.path.read_text())
    assert run.metrics["gap"] == run.result["metrics"]["gap"]
    assert run.key == run.path.stem
    assert len(run.predictions.ids) == 32


def test_settings_may_come_first_by_name_and_by_keyword_and_the_keyword_wins(
    folder: Path, run: Run
) -> None:
    first = {"k": 9, "seed": 1, "schedule": "scratch"}
    found = distillbench.run(
        first, settings={**SMALL, "seed": 0}, schedule="serial", k="4", results=str(folder)
    )
    assert found.key == run.key


def test_settings_may_be_a_file(folder: Path, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(
        'k = 4\nschedule = "serial"\n'
        + "".join(f"set.{name} = {value}\n" for name, value in SMALL.items())
    )
    assert distillbench.run(file, results=folder).key == run.key


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"selectr": "uniform"}, "'selectr' is not a setting, did you mean 'selector'?"),
        ({"k": [4, 6]}, "make 2 runs, and run makes one"),
        ({"settings": {"student.cell_size": "big"}}, "knob 'cell_size' takes int, found 'big'"),
        ({"observe": ["csvlog"]}, "no observer is called 'csvlog'"),
        ({"device": "tpu"}, "--device takes auto, cpu or cuda"),
    ],
)
def test_what_cannot_be_is_a_distillbench_error(
    choices: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(DistillbenchError) as told:
        distillbench.run(results=tmp_path / "results", **choices)
    assert said in str(told.value)
    assert not (tmp_path / "results").exists()


def test_a_text_that_stands_alone_is_one_and_not_its_letters(folder: Path, tmp_path: Path) -> None:
    rows = distillbench.leaderboard(folder, where="schedule=serial")
    assert list(rows["schedule"]) == ["serial"]
    by_list, by_text = (
        distillbench.compare(
            {"schedule": "serial"}, {"schedule": "scratch"}, where=where, results=folder
        )
        for where in (["k=4"], "k=4")
    )
    assert by_list == by_text
    with pytest.raises(ConfigError, match="no observer is called 'csvlog'"):
        distillbench.run(SMALL, observe="csvlog", results=tmp_path)
    with pytest.raises(ConfigError, match=r"found 'rate 0\.1'"):
        api.request_tune(tried="rate 0.1")
    arms = tmp_path / "arms.toml"
    arms.write_text(
        "".join(f'[[grid]]\nschedule = "{x}"\ntuned_arm = "{x}"\n' for x in ("serial", "scratch"))
    )
    found = api.request_sweep(arms, arms="serial", k=4, settings=SMALL, results=folder)
    assert [spec.tuned_arm for spec in found.specs] == ["serial"]


@pytest.mark.parametrize(
    "flags", [[], ["--each"], ["--where", "schedule=serial"], ["--sort", "macs", "--top", "1"]]
)
def test_the_leaderboard_has_the_rows_of_the_command(
    flags: list[str], folder: Path, command: Command
) -> None:
    code, out, err = command("leaderboard", folder, "--format", "csv", *flags)
    assert code == 0, err
    given: dict[str, Any] = {"each": "--each" in flags}
    given |= {"where": ["schedule=serial"]} if "--where" in flags else {}
    given |= {"sort": "macs", "top": 1} if "--sort" in flags else {}
    rows = distillbench.leaderboard(folder, **given)
    printed = pd.read_csv(io.StringIO(out))
    assert list(rows.columns) == list(printed.columns)
    assert len(rows) == len(printed) == (4 if given["each"] else 1 if flags else 2)
    for name in ("run", "schedule", "gap", "gap_low", "map_at_20", "macs", "latency"):
        theirs = printed[name].tolist()
        assert (
            rows[name].tolist() == pytest.approx(theirs)
            if name not in ("run", "schedule")
            else theirs
        )


def test_an_empty_leaderboard_says_why(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    assert distillbench.leaderboard(tmp_path, warn=said.append).empty
    assert distillbench.leaderboard(folder, where=["k=5"], warn=said.append).empty
    assert said == [
        "no results yet; distillbench run makes the first",
        "none of 4 results meets: k=5",
    ]


def test_a_damaged_file_is_warned_of(copied: Path, run: Run) -> None:
    (copied / "damaged.json").write_text("{")
    with pytest.warns(UserWarning, match="skipped: .*damaged.json"):
        rows = distillbench.leaderboard([copied])
    assert len(rows) == 2
    with pytest.warns(UserWarning, match="skipped: .*damaged.json"):
        assert distillbench.load(run.key, copied).metrics == run.metrics


def test_a_comparison_is_the_one_that_the_command_prints(
    folder: Path, run: Run, command: Command
) -> None:
    asked = ["--a", "schedule=serial", "--b", "schedule=scratch", "--where", "k=4"]
    code, out, err = command("compare", *asked, "--results", folder, "--format", "json")
    assert code == 0, err
    found = distillbench.compare(
        {"schedule": "serial"}, ["schedule=scratch"], where=["k=4"], results=folder
    )
    printed = json.loads(out)
    assert {n: dataclasses.asdict(d) for n, d in found.differences.items()} == printed[
        "differences"
    ]
    other = next(run.path.parent.glob("[!t]*.json"))
    by_key = distillbench.compare(run.key, other.stem, results=folder)
    by_run = distillbench.compare(run, distillbench.load(other))
    assert by_key.differences == by_run.differences
    with pytest.raises(ConfigError, match=r"^b schedule=serail: none of 4 results meets that"):
        distillbench.compare(run, {"schedule": "serail"}, results=folder)


def test_contrasts_are_those_that_the_command_prints(
    folder: Path, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "contrasts.toml"
    file.write_text(
        'where = ["k=4"]\n[[contrast]]\nname = "one"\na = ["schedule=serial"]\n'
        'b = ["schedule=scratch"]\n'
    )
    code, out, err = command("compare", "--holm", file, "--results", folder, "--format", "json")
    assert code == 0, err
    (found,) = api.contrasts(file, folder)
    (printed,) = json.loads(out)
    assert found.difference is not None
    assert printed["value"] == found.difference.value
    assert printed["p_holm"] == found.holm == found.difference.p
    assert any("still improving" in note for note in printed["notes"])


def test_a_run_is_found_by_its_key_its_beginning_or_its_file(folder: Path, run: Run) -> None:
    for name in (run.key, run.key[:8], run.path, str(run.path)):
        assert distillbench.load(name, folder).stored == run.stored
    assert distillbench.load(run) is run
    with pytest.raises(ConfigError, match="no run is called so"):
        distillbench.load("0000", folder)
    with pytest.raises(ResultError, match="there is no result"):
        distillbench.load("no.json", folder)
    with pytest.raises(ConfigError, match="no results in"):
        distillbench.load("0000", folder / "teachers")


def test_the_network_is_the_one_that_was_evaluated(run: Run) -> None:
    network, test = run.network, run._restored.experiment.splits.test
    assert network is run.network, "built once"
    assert not any(module.training for module in network.modules())
    scores = distillbench.predict(run)
    assert scores.ids == tuple(test.ids) == run.predictions.ids
    assert scores.class_names == test.class_names
    logits = torch.from_numpy(scores.values).logit()
    best = logits.topk(10, dim=1).values.numpy()
    assert np.allclose(best, run.predictions.scores, atol=1e-4)


def test_frames_that_were_given_are_scored_as_those_of_the_data(run: Run) -> None:
    test = run._restored.experiment.splits.test
    which = torch.arange(len(test))
    whole = test.read(which, torch.arange(int(test.lengths.max())).expand(len(test), -1))
    frames = [whole[video, : test.lengths[video]].numpy() for video in range(len(test))]
    given = distillbench.predict(run, frames)
    assert np.array_equal(given.values, distillbench.predict(run, "test").values)
    assert given.ids == tuple(str(number) for number in range(len(test)))
    assert distillbench.predict(run, [whole[0]]).values.shape == (1, 10), "tensors, too"
    decoded = [frame.astype(np.float64) for frame in frames[:2]]
    assert distillbench.predict(run, decoded).values.shape == (2, 10)


@pytest.mark.parametrize(
    ("videos", "kind", "said"),
    [
        ("tset", ConfigError, "no split is called 'tset'; there are: train, validation, test"),
        (7, ConfigError, "found int"),
        ([], DataError, "no video was given"),
        (
            [np.zeros((3, 9), np.uint8)],
            DataError,
            "video 0 .* shape \\(3, 9\\); frames are \\(T, 64\\)",
        ),
        ([np.zeros((0, 64), np.uint8)], DataError, "T at least 1"),
        ([np.zeros((3, 64), np.int64)], DataError, "frames of int64"),
        ([np.zeros((3, 64), np.uint8), np.zeros((3, 64))], DataError, "give all alike"),
        ([np.full((3, 64), np.inf)], DataError, "not finite"),
        ([["a"]], DataError, "video 0"),
    ],
)
def test_what_is_no_video_is_refused(videos: Any, kind: type, said: str, run: Run) -> None:
    with pytest.raises(kind) as told:
        distillbench.predict(run, videos)
    assert re.search(said, str(told.value))


def test_the_network_of_a_row_in_8_bits_is_in_8_bits(run: Run, copied: Path) -> None:
    made = Run(quantize(distillbench.load(run.key, copied).stored, installed()))
    assert "Linear" in {type(module).__name__ for module in made.network.modules()}
    assert not np.array_equal(distillbench.predict(made).values, distillbench.predict(run).values)
    assert np.allclose(
        distillbench.predict(made).values, distillbench.predict(run).values, atol=0.1
    )


def test_a_sweep_returns_every_run_in_the_grids_order_and_why_some_have_none(
    copied: Path, run: Run
) -> None:
    grid = {**SMALL, "training.learning_rate": [0.006, 1e30], "executor.workers": 1}
    for _ in range(2):
        found = distillbench.sweep(
            grid, schedule=("serial",), seed=range(1), k=4, results=copied, device="cpu"
        )
        good, bad = found
        assert isinstance(good, Run)
        assert good.key == run.key
        assert isinstance(bad, Failure)
        assert bad.status == "failed"
        assert "learning_rate" in bad.reason
    with pytest.raises(ConfigError, match="workers takes auto or"):
        distillbench.sweep(grid, k=4, results=copied, workers=0)
    with pytest.raises(ConfigError, match="no sweep file is called 'tabel1'"):
        distillbench.sweep("tabel1", results=copied)


def test_the_examples_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 5
    exec("\n".join(blocks), {"__name__": "python_api"})
    told = capsys.readouterr().out
    assert "4 runs" in told
    assert "95 % interval" in told
    assert "(2, 10)" in told
