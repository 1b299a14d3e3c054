"""The files that hosts of repositories read name what is really there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import distillbench

yaml = pytest.importorskip("yaml", reason="PyYAML absent: pip install 'distillbench[dev]'")

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def made_by(commands: str) -> list[str]:
    return re.findall(r"^make ([\w-]+)", commands, re.MULTILINE)


@pytest.fixture
def job() -> dict[str, Any]:
    return dict(read(WORKFLOW)["jobs"]["test"])


def test_the_workflow_runs_what_ci_runs_and_the_makefile_has(job):
    asked = made_by("\n".join(step.get("run", "") for step in job["steps"]))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert asked == made_by((ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert asked
    assert set(asked) <= set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))


def test_the_workflow_runs_the_slow_tests_once():
    jobs = read(WORKFLOW)["jobs"]
    assert set(jobs) == {"test", "slow"}
    asked = made_by("\n".join(step.get("run", "") for step in jobs["slow"]["steps"]))
    assert asked == ["test-all"]


def test_the_workflow_begins_with_the_oldest_python_that_the_package_takes(job):
    matrix = job["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["requires-python"] == f">={matrix['python'][0]}"
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos"}


def test_the_citation_agrees_with_the_package():
    citation = read(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["title"] == PROJECT["name"]
    assert citation["version"] == distillbench.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["keywords"] == PROJECT["keywords"]
    assert citation["repository-code"] == PROJECT["urls"]["Source"]
    assert citation["authors"] == PROJECT["authors"]


def test_the_cited_paper_is_the_one_that_the_docs_are_about():
    (paper,) = read(ROOT / "CITATION.cff")["references"]
    about = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    assert paper["url"] in about
    assert all(author["given-names"] and author["family-names"] for author in paper["authors"])


@pytest.mark.parametrize(
    "form", [path for path in FORMS if path.stem != "config"], ids=lambda path: path.stem
)
def test_a_form_of_an_issue_has_what_the_host_needs(form):
    content = read(form)
    assert content["name"]
    assert content["description"]
    asked = [part for part in content["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in asked}) == len(asked)
    assert all(part["attributes"]["label"] for part in asked)


def test_the_hooks_before_a_commit_run_programs_of_make_check_and_fetch_nothing():
    (repository,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    checked = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(BIN)", ".venv/bin")
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].removesuffix(" --force-exclude") in checked


def test_an_archive_of_the_sources_holds_the_files_that_tests_read():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    held = tomllib.loads(text)["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert {".github", ".ci", ".pre-commit-config.yaml", "CITATION.cff"} <= set(held)
    assert all((ROOT / name).exists() for name in held)


def test_every_change_that_waits_for_a_release_is_of_a_kind_and_says_something():
    waiting = [path for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]
    form = re.compile(r"(\+[\w-]+|\d+)\.(added|changed|fixed|removed)\.md")
    assert [path.name for path in waiting if not form.fullmatch(path.name)] == []
    assert [path.name for path in waiting if not path.read_text(encoding="utf-8").strip()] == []
    assert "<!-- releases begin here -->\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
