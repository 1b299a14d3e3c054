"""Every command on every page is one that exists, with flags that it has; scripts and targets are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from page_blocks import PAGES, ROOT, blocks_of, without_blocks

from distillbench.cli.app import app
from distillbench.registry.discovery import Registry
from distillbench.registry.knobs import bind

INLINE = re.compile(r"`(distillbench [a-z][^`]*)`")
SCRIPT = re.compile(r"`(?:python |bash )?((?:benchmarks|docs)/[\w/.-]+)(?: [^`]*)?`")
TARGET = re.compile(r"(?:`|^)make ([a-z-]+)(?=`|$| +#| [A-Z]+=)", re.MULTILINE)
UNFINISHED = re.compile(r"\.\.\.|\bCOMMAND\b|[<>|&;]")
"""Lines with a place that the reader fills, or that a shell does more with."""


def commands_on(page: Path) -> Iterator[str]:
    """Yields the commands of a page, one line each, without comments."""
    for block in blocks_of(page):
        yield from (line for line in block.commands if line.startswith("distillbench "))
    yield from (found.replace("\n", " ") for found in INLINE.findall(without_blocks(page)))


COMMANDS = sorted({(page.name, command) for page in PAGES for command in commands_on(page)})


def test_pages_show_commands() -> None:
    assert len(COMMANDS) > 100
    assert {page for page, _ in COMMANDS} >= {"README.md", "tutorial.md", "comparing.md"}


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_exists_with_its_flags(page: str, command: str) -> None:
    group: Any = typer.main.get_command(app)
    if UNFINISHED.search(command):
        command = UNFINISHED.split(command)[0]
    words = shlex.split(command)[1:]
    if not words or words[0].startswith("--"):
        return
    known = group.commands.get(words.pop(0))
    assert known is not None, command
    if hasattr(known, "commands"):
        known = known.commands.get(words.pop(0))
        assert known is not None, command
    flags = {flag for each in known.params for flag in (*each.opts, *each.secondary_opts)}
    files = [word for word in words if word.startswith("benchmarks/")]
    assert [file for file in files if not (ROOT / file).exists()] == [], command
    named = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert named <= flags | {"--help"}, command


def test_executors_have_the_knobs_that_pages_set(registry: Registry) -> None:
    checked = set()
    for _, command in COMMANDS:
        words = [] if UNFINISHED.search(command) else shlex.split(command)
        if "--executor" in words:
            name = words[words.index("--executor") + 1]
            component = registry.find("executor", name)
            if component is not None:  # NAME, where any is meant
                knobs = dict(w[9:].split("=", 1) for w in words if w.startswith("executor."))
                assert bind(component.cls, knobs, command)[1] == []
                checked.add(name)
    assert checked >= {"ray", "slurm"}


def test_every_script_and_every_target_of_make_that_a_page_names_is_there() -> None:
    texts = {
        page: page.read_text(encoding="utf-8") for page in PAGES if page.name != "CHANGELOG.md"
    }
    scripts = {(page.name, name) for page, text in texts.items() for name in SCRIPT.findall(text)}
    assert len(scripts) > 15
    assert [each for each in scripts if not (ROOT / each[1]).exists()] == []
    made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    targets = {(page.name, name) for page, text in texts.items() for name in TARGET.findall(text)}
    assert {name for _, name in targets} >= {"test", "check", "bench", "docs", "study-page"}
    assert [each for each in targets if each[1] not in made] == []
