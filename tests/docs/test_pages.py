"""What the documentation says is what the code does."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest
import typer

from distillbench.cli.app import app
from distillbench.config.layers import Training
from distillbench.registry import hookspecs
from distillbench.registry.discovery import Component, discover
from distillbench.registry.kinds import KINDS
from distillbench.registry.knobs import knobs_of
from distillbench.testing.promises import Subject
from distillbench.testing.runner import CHECKS, verdicts

ROOT = Path(__file__).resolve().parents[2]
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def loaded(path: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def offered_by(module) -> list[Component]:
    return [
        Component(kind, name, cls, "documentation", "1")
        for kind, hook in ((kind.name, kind.hook) for kind in KINDS.values())
        if hasattr(module, hook)
        for name, cls in getattr(module, hook)().items()
    ]


def crosses_of(components: list[Component]) -> list[tuple[str, str, str]]:
    found = [v for component in components for v in verdicts(Subject(component))]
    return [(v.component.name, v.check.name, v.received) for v in found if v.status == "broken"]


@pytest.fixture(scope="module")
def generator():
    sys.path.insert(0, str(ROOT / "docs"))  # as for a script that lies there
    return loaded(ROOT / "docs" / "generate.py", "docs_generate")


@pytest.fixture(scope="module")
def reference():
    return loaded(ROOT / "docs" / "reference.py", "docs_reference")


def test_pages_that_are_made_from_the_code_are_up_to_date(generator, reference):
    made = {**generator.documents(), reference.PAGE: reference.reference()}
    stale = [str(path.relative_to(ROOT)) for path, text in made.items() if path.read_text() != text]
    assert not stale, "run make docs"


def test_the_reference_has_every_public_name_with_its_docstring(reference):
    page = reference.PAGE.read_text()
    for name in reference.MODULES:
        part = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        module = importlib.import_module(name)
        of = {each: getattr(module, each) for each in module.__all__}
        documented = {n for n, o in of.items() if inspect.isclass(o) or inspect.isfunction(o)}
        assert documented <= set(re.findall(r"^### (\w+)$", part, re.M))


def test_every_page_is_on_the_site():
    nav = (ROOT / "zensical.toml").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages == set(re.findall(r'= "([\w-]+\.md)"', nav))


def test_the_contract_names_every_check(generator):
    page = generator.contract.contract()
    assert all(
        f"`{check.name}`: {check.promise}" in page for checks in CHECKS.values() for check in checks
    )


def test_every_check_has_a_promise_that_is_one_sentence():
    for checks in CHECKS.values():
        for check in checks:
            assert check.promise.endswith("."), check.name


def test_every_command_and_every_flag_is_on_the_page(generator):
    page = generator.command_line.command_line()
    group = typer.main.get_command(app)
    commands = {
        **group.commands,
        **{f"data {name}": each for name, each in group.commands["data"].commands.items()},
    }
    del commands["data"]
    parts = {
        title.strip(): text
        for title, _, text in (part.partition("\n") for part in page.split("\n## ")[1:])
    }
    assert {f"distillbench {name}" for name in commands} == set(parts)
    for name, command in commands.items():
        flags = [
            flag
            for each in command.params
            if each.name != "help"
            for flag in each.opts
            if flag.startswith("--")
        ]
        assert [flag for flag in flags if flag not in parts[f"distillbench {name}"]] == []


def test_every_hook_is_documented():
    hooks = [name for name, each in vars(hookspecs).items() if hasattr(each, "distillbench_spec")]
    assert "frame_selectors" in hooks
    assert all(vars(hookspecs)[name].__doc__ for name in hooks)
    page = (ROOT / "docs" / "writing-a-plugin.md").read_text()
    assert all(f"`{name}`" in page for name in hooks)


def test_every_sweep_file_that_is_named_anywhere_is_installed():
    files = [
        path
        for folder in ("distillbench", "plugins", "docs", "benchmarks", ".")
        for path in (ROOT / folder).glob("*" if folder == "." else "**/*")
        if path.suffix in (".py", ".md", ".toml", ".sh") and path.name != "CHANGELOG.md"
    ]
    named = {
        (path.name, name)
        for path in files
        for name in re.findall(
            r"sweep ((?:table|figure|controls)[\w/.-]*)", path.read_text(encoding="utf-8")
        )
    }
    assert {name for _, name in named} >= {
        "table1",
        "table2",
        "table3",
        "table4",
        "figure2",
        "figure3",
        "controls",
    }
    assert all(discover().sweep_file(name.rstrip(".")).is_file() for _, name in named)
    assert not [path for path in files if "benchmarks/paper" in path.read_text(encoding="utf-8")]


def test_every_example_of_writing_a_plugin_keeps_the_contract(tmp_path):
    components = []
    blocks = PYTHON.findall((ROOT / "docs" / "writing-a-plugin.md").read_text())
    for number, block in enumerate(blocks):
        path = tmp_path / f"example{number}.py"
        path.write_text(block)
        components += offered_by(loaded(path, f"documented_example{number}"))
    assert {component.kind for component in components} == set(KINDS)
    assert crosses_of(components) == []


def test_the_readmes_selector_keeps_the_contract(tmp_path):
    (block,) = [
        block for block in PYTHON.findall((ROOT / "README.md").read_text()) if "hookimpl" in block
    ]
    path = tmp_path / "readme_selector.py"
    imports = "import torch\nfrom distillbench import hookimpl\n"
    path.write_text(
        imports + "from distillbench.interfaces import NO_FRAME, FrameSelector\n" + block
    )
    assert crosses_of(offered_by(loaded(path, "readme_selector"))) == []


ROWS = re.compile(r"\brows? (\d+(?:(?:, | and )\d+)*)")
SECTIONS = re.compile(r"\bsection (\d+)")


def cited(pattern: re.Pattern[str], text: str) -> set[str]:
    return {number for found in pattern.findall(text) for number in re.findall(r"\d+", found)}


OTHER_PAPERS = re.compile(r"arXiv\s+\d{4}\.\d{4,5}[^.)]*section\s+[\d.]+", re.DOTALL)


def test_every_row_and_section_that_the_code_cites_is_on_the_page_of_the_paper():
    page = (ROOT / "docs" / "paper.md").read_text()
    rows, sections = (
        set(re.findall(r"^\| (\d+) \|", page, re.M)),
        set(re.findall(r"^## (\d+)\.", page, re.M)),
    )
    assert rows == {str(number) for number in range(1, 28)}
    citing = [*(ROOT / "plugins").rglob("*.py"), *(ROOT / "distillbench").rglob("*.py")]
    citing += [*(ROOT / "docs" / "decisions").glob("*.md")]
    missing = {}
    for path in citing:
        # Sections of other papers stand behind their arXiv id.
        text = OTHER_PAPERS.sub("", path.read_text(encoding="utf-8"))
        if "docs/paper.md" in text:
            assert cited(ROWS, text) <= rows, path
            assert cited(SECTIONS, text) <= sections, path
        elif path.parts[-2] != "decisions":
            missing[path.name] = cited(SECTIONS, text) | set(re.findall(r"\(rows? \d+", text))
        assert "section 7" not in text, path
    assert not {name: found for name, found in missing.items() if found}


def test_every_row_of_the_page_of_the_paper_says_what_is_done_in_settings_that_exist(registry):
    page = (ROOT / "docs" / "paper.md").read_text()
    table = [line.split(" | ") for line in page.splitlines() if re.match(r"\| \d+ \|", line)]
    assert all(len(line) == 5 for line in table)
    knobs = {knob.name for component in registry for knob in knobs_of(component.cls)}
    knobs |= {field.name for field in dataclasses.fields(Training)}
    named = {name.rpartition(".")[2] for name in re.findall(r"`([a-z0-9_.]+)=", page)}
    assert {"state", "mixtures", "finetune_head", "l2", "dropout"} <= named <= knobs


def test_the_readme_links_every_page_of_the_documentation():
    readme = (ROOT / "README.md").read_text()
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert {"docs/paper.md", "docs/study.md"} <= pages
    assert pages <= set(re.findall(r"\]\(([^)#]+)\)", readme))


TREE = "https://github.com/distillbench/distillbench/blob/main/"
"""Links from the site into the repository."""


def test_every_link_of_the_documentation_leads_somewhere():
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").rglob("*.md"),
    ]:
        targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        local = [path.parent / target for target in targets if "://" not in target]
        ours = [target.removeprefix(TREE) for target in targets if target.startswith(TREE)]
        assert not [each for each in local if not each.exists()], path
        assert not [each for each in ours if not (ROOT / each).exists()], path
