"""Every command on every page is one that exists, with flags that it has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from distillbench.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(distillbench [a-z][^`]*)`")
UNFINISHED = re.compile(r"\.\.\.|\bCOMMAND\b|[<>|&;]")
"""Lines with a place that the reader fills, or that a shell does more with."""


def commands_on(page: Path) -> Iterator[str]:
    """Yields the commands of a page, one line each, without comments."""
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.findall(text):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            command = line.partition(" #")[0].strip().removeprefix("$ ")
            if command.startswith("distillbench "):
                yield command
    yield from (found.replace("\n", " ") for found in INLINE.findall(BLOCK.sub("", text)))


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
    named = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert named <= flags | {"--help"}, command
