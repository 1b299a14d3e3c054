"""A project that `distillbench new` writes, installed with pip, keeps its promises and runs to a row."""

from __future__ import annotations

import subprocess
import sys

import pytest

from distillbench.registry.discovery import discover
from distillbench.registry.kinds import KINDS
from distillbench.scaffold import PROJECTS, project_kind, write_project
from distillbench.testing.runner import CHECKS, subjects, verdicts


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which pip has installed one project of every kind."""
    folder = tmp_path_factory.mktemp("new")
    target, projects = folder / "site", folder / "projects"
    for kind in PROJECTS:
        write_project(kind, f"brand-new-{kind}", projects)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-build-isolation",
        "--no-deps",
        "--target",
        str(target),
    ]
    subprocess.run(
        [*pip, *map(str, projects.iterdir())], check=True, capture_output=True, text=True
    )
    return folder


@pytest.fixture
def site(installed, monkeypatch):
    monkeypatch.syspath_prepend(str(installed / "site"))
    return installed


def test_a_new_project_of_every_kind_passes_check_at_once(site):
    offered = [c for c in discover() if c.distribution.startswith("brand-new-")]
    assert {c.kind for c in offered} == set(CHECKS)
    found = [verdict for subject in subjects(offered) for verdict in verdicts(subject)]
    assert not [(v.component.name, v.check.name, v.received) for v in found if v.status == "broken"]


def test_check_names_the_distribution_and_counts_its_promises(site, command):
    code, out, _ = command("check", "--from", "brand-new-selector")
    assert code == 0, out
    assert "selector brand-new-selector (brand-new-selector 0.1.0)" in out
    assert "1 component: 17 promises kept, 0 broken" in out


def test_every_new_plugin_is_listed(site, command):
    code, out, _ = command("plugins")
    assert code == 0
    assert "not usable" not in out
    assert all(f"brand-new-{kind}" in out for kind in PROJECTS)


def test_all_of_them_together_run_to_a_row(site, command, tmp_path):
    flags = [
        *(
            "--data",
            "brand-new-data",
            "--teacher",
            "brand-new-encoder",
            "--student",
            "brand-new-encoder",
        ),
        *(
            "--head",
            "brand-new-head",
            "--selector",
            "brand-new-selector",
            "--schedule",
            "brand-new-schedule",
        ),
        *(
            "--loss",
            "brand-new-label-loss,brand-new-matching-loss",
            "--preset",
            "brand-new-preset",
            "--observe",
            "brand-new-observer",
        ),
        *("--k", "5", "--epochs", "2", "--set", "data.videos=60", "--results", tmp_path),
    ]
    code, out, err = command("run", *flags)
    assert code == 0, err
    assert "test gap" in err
    code, out, _ = command("leaderboard", tmp_path, "--format", "csv")
    assert "brand-new-selector" in out
    assert "brand-new-metric" in out.splitlines()[0]
    assert "brand-new-label-loss 0.1.0" in out
    assert "brand-new-matching-loss 0.1.0" in out


def test_a_new_learned_selector_runs_to_a_row_without_a_loss_of_ours(site, command, tmp_path):
    flags = [
        *(
            "--selector",
            "brand-new-learned-selector",
            "--loss",
            "brand-new-label-loss",
            "--schedule",
            "scratch",
        ),
        *(
            "--k",
            "3",
            "--epochs",
            "1",
            "--set",
            "data.train=40",
            "--set",
            "data.frames=12",
            "--results",
            tmp_path,
        ),
    ]
    code, _, err = command("run", *flags)
    assert code == 0, err
    code, out, _ = command("leaderboard", tmp_path, "--format", "csv")
    assert "brand-new-learned-selector" in out


def test_there_is_a_template_for_every_kind():
    assert {project_kind(kind) for kind in KINDS} | {"observer"} == set(PROJECTS)


def test_a_plain_loss_is_one_that_matches_a_teacher(command, tmp_path):
    code, _, err = command("new", "loss", "my-own-loss", "--to", tmp_path)
    assert code == 0, err
    assert "MatchingLoss" in (tmp_path / "my-own-loss" / "my_own_loss.py").read_text()


def test_a_new_executor_makes_a_sweep_and_a_new_exporter_exports_it(site, command, tiny, tmp_path):
    executor = ["--executor", "brand-new-executor", "--set", "executor.waiting=2"]
    flags = [*tiny, "--schedule", "scratch", "--seed", "0:2", *executor, "--results", tmp_path]
    code, _, err = command("sweep", *flags)
    assert code == 0, err
    assert "3 at once" in err
    first, _second = sorted(tmp_path.glob("*.json"))
    assert command("sweep", *flags)[0] == 0, "and all is there"
    out = ["--to", "brand-new-exporter", "--out", tmp_path / "network.pt"]
    code, told, err = command("export", first, *out)
    assert code == 0, err
    assert "network.pt: logits of 32 test videos differ by at most 0" in told


@pytest.mark.slow
def test_its_own_suite_passes(site):
    tests = site / "projects" / "brand-new-selector" / "tests"
    code = "import sys, pytest; sys.path.insert(0, sys.argv[1]); sys.exit(pytest.main(['-q', sys.argv[2]]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(site / "site"), str(tests)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "17 passed" in done.stdout
