"""A reader with a page in an empty folder, who does what its blocks say.

Commands are the page's own, on data that takes moments: behind its own flags a command is given those
of `smaller`, which win: fewer videos, cells, epochs, seeds and trials. `pip install` installs nothing:
what it names must exist.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from page_blocks import ROOT, Block
from remote_server import Server

Command = Callable[..., tuple[int, str, str]]

_TRAINED = ["--epochs", "1", "--batch-size", "16", "--threads", "1"]
CELLS = ["teacher.cell_size=8", "student.cell_size=8"]
DIGITS = ["data.train=64", "data.validation=24", "data.test=32"]
_RUN = re.compile(r"RUN|[0-9a-f]{8}")
"""What stands on a page for the key of a run."""
_VARIABLE = re.compile(r"[A-Z_]+=")


@dataclass
class Stage:
    """What the reader has, and what the places that the reader fills stand for.

    serve: begins a server of an empty folder, which goes on until the test ends.
    stand_ins: what stands in commands for the reader to fill or to own, and what is put there.
    more: words of a command, and the flags that are added behind it.
    names: what the page's Python may use.
    expects: what is said of a block that shows output: nothing, where it is as the code has it.
    printed: what commands have printed so far.
    """

    command: Command
    patch: pytest.MonkeyPatch
    folder: Path
    serve: Callable[[], Server]
    stand_ins: dict[str, str] = field(default_factory=dict)
    more: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, object] = field(default_factory=dict)
    expects: Callable[[Block], object] | None = None
    printed: str = ""

    def do(self, block: Block) -> None:
        """Does what a block says, and fails where it does not work."""
        if block.is_shell:
            for line in block.commands:
                if block.reason_for(line) is None:
                    self.tell(line)
        elif block.language == "python":
            exec(compile(block.text, str(block), "exec"), self.names)
        elif block.language == "toml":
            tomllib.loads(block.text)  # a command reads it, too: `all_files_are_read`
        else:
            self._compare(block)

    def lay_out(self, blocks: list[Block]) -> None:
        """Writes the files that a page shows, which its commands may name before it shows them."""
        for block in blocks:
            if block.file_name:
                (self.folder / block.file_name).write_text(block.text, encoding="utf-8")

    def tell(self, line: str) -> str:
        """Gives a command, and returns what it prints."""
        filled = line
        for text, stand_in in self.stand_ins.items():
            filled = filled.replace(text, stand_in)
        words = shlex.split(filled)
        while _VARIABLE.match(words[0]):
            self.patch.setenv(*words.pop(0).split("=", 1))
        words, target = (words[:-2], words[-1]) if ">" in words[-2:] else (words, None)
        words += smaller(words)
        words += [flag for part, flags in self.more.items() if part in line for flag in flags]
        assert words[0] in self._programs(), f"no test runs '{line}'; make it, or say why not"
        said = self._programs()[words[0]](words[1:])
        if target is not None:
            (self.folder / target).write_text(said, encoding="utf-8")
        self.printed += said
        return said

    def students(self) -> list[str]:
        """The keys of stored runs of a student, as it was trained."""
        stored = sorted((self.folder / "results").glob("*.json"))
        networks = {path.stem: json.loads(path.read_text())["network"] for path in stored}
        return [key for key, network in networks.items() if network == "student" and "-" not in key]

    def _programs(self) -> dict[str, Callable[[list[str]], str]]:
        return {
            "distillbench": self._distillbench,
            "pip": _pip,
            "torchrun": _torchrun,
            "check-jsonschema": _check_jsonschema,
        }

    def _distillbench(self, words: list[str]) -> str:
        keys = iter(self.students())
        words = [next(keys) if _RUN.fullmatch(word) else word for word in words]
        code, out, err = self.command(*words)
        assert code == 0, f"distillbench {shlex.join(words)}\n{out}\n{err}"
        return out

    def _compare(self, block: Block) -> None:
        if self.expects is not None:
            self.expects(block)
            return
        printed = masked(self.printed)
        missing = [line for line in block.text.splitlines() if masked(line) not in printed]
        assert not missing, f"{block}: not printed\n{chr(10).join(missing)}\nbut\n{self.printed}"


def masked(text: str) -> str:
    """Hides what differs from run to run: keys, numbers and their units, and widths."""
    text = re.sub(r"^[0-9a-f]{6}\b", "KEY", text, flags=re.MULTILINE)
    text = re.sub(r"\d+(\.\d+)?( [kMG]\b)?", "N", text)
    return re.sub(r" +", " ", re.sub("─+", "─", text))


def smaller(words: list[str]) -> list[str]:
    """Flags that make a command take moments."""
    given = words[words.index("distillbench") + 1 :] if "distillbench" in words else words[1:]
    if given[:1] not in (["run"], ["sweep"], ["tune"]) or "--dry-run" in given:
        return []
    on_digits = "--data" not in given or given[given.index("--data") + 1] == "digits"
    flags = list(_TRAINED)
    for assignment in CELLS + DIGITS * on_digits:
        flags += ["--set", assignment]
    flags += ["--trials", "2"] * (given[0] == "tune")
    if "--seed" in given and ":" in given[given.index("--seed") + 1]:
        flags += ["--seed", "0:2"]
    return flags


def _pip(words: list[str]) -> str:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    tested = {Requirement(each).name for each in extras["dev"]}
    assert words[0] == "install"
    for requirement in map(Requirement, words[1:]):
        ours = requirement.name == "distillbench"
        assert requirement.extras <= set(extras) if ours else requirement.name in tested
    return ""


def _torchrun(words: list[str]) -> str:
    return _ran("torch.distributed.run", "--standalone", *words)


def _check_jsonschema(words: list[str]) -> str:
    pytest.importorskip("check_jsonschema")
    found = [sorted(map(str, Path().glob(word))) if "*" in word else [word] for word in words]
    return _ran("check_jsonschema", *(each for part in found for each in part))


def _ran(module: str, *words: str) -> str:
    own = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", module, *words]
    done = subprocess.run(program, env={**os.environ, **own}, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(program)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
