"""An exported file is kept only if what is read back scores test videos as the network does."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from running import installed, run_experiment

from distillbench.config.run_spec import RunSpec
from distillbench.errors import DistillbenchError, PluginError, ResultError
from distillbench.experiments.context import RunContext
from distillbench.experiments.export import Limits, export
from distillbench.experiments.quantize import quantize
from distillbench.interfaces import Exporter
from distillbench.registry.discovery import Component, Registry
from distillbench.results.store import Result


@pytest.fixture(scope="module")
def stored(make_spec: Callable[..., RunSpec], tmp_path_factory: pytest.TempPathFactory) -> Result:
    place = RunContext(tmp_path_factory.mktemp("results"), "cpu")
    return run_experiment(make_spec(schedule="scratch", selector="random"), place)


class Memory(Exporter):
    """Writes a word, and remembers the network."""

    suffix = ".mem"
    word = "network"
    networks: tuple[Any, ...] = ()
    heard: tuple[Any, ...] = ()

    def export(self, network: Any, example: Any, about: Any, path: Path) -> None:
        path.write_text(self.word)
        Memory.networks, Memory.heard = (network,), (example, about)

    def load(self, path: Path) -> Any:
        return lambda clips: self.networks[0](clips).logits


def with_(**parts: Any) -> Registry:
    """What is installed, and beside it an exporter that is honest in all but what is given."""
    made = type("Stranger", (Memory,), parts)
    component = Component("exporter", "memory", made, "somebody", "1")
    return Registry([*installed(), component], [], installed().hooks)


def raises(error: BaseException) -> Callable[..., None]:
    def fails(self: Any, *given: Any) -> None:
        raise error

    return fails


def off_by(amount: float) -> Callable[..., Any]:
    return lambda self, path: lambda clips: self.networks[0](clips).logits + amount


def test_what_agrees_is_kept_and_how_far_it_does_is_said(stored: Result, tmp_path: Path) -> None:
    found = export(stored, with_(load=off_by(1e-5)), "memory", tmp_path / "a.mem")
    assert found.difference == pytest.approx(1e-5, rel=0.1)
    assert found.videos == 32
    assert (tmp_path / "a.mem").read_text() == "network"
    example, about = Memory.heard
    assert example.frames.dtype == torch.uint8
    assert about["run"] == stored.id
    assert about["selector"]["name"] == "random"
    assert (about["k"], about["classes"], about["features"]) == (4, 10, {"pixels": 64})
    assert about["metrics"] == stored.content["metrics"]
    assert about["class_names"] == [str(digit) for digit in range(10)]


WRONG = {
    "another network": (
        {"load": off_by(0.01)},
        ResultError,
        "differ by up to 0.01, and 0.0001 is allowed",
    ),
    "no number": ({"load": off_by(float("nan"))}, ResultError, "differ by up to nan"),
    "another shape": (
        {"load": lambda self, path: lambda clips: torch.zeros(1, 3)},
        PluginError,
        "the exporter 'memory' of somebody 1 loads makes (1, 3) of 32 clips",
    ),
    "no tensor": (
        {"load": lambda self, path: lambda clips: "logits"},
        PluginError,
        "makes 'logits' of 32 clips",
    ),
    "nothing that can be called": (
        {"load": lambda self, path: 7},
        PluginError,
        "of somebody 1 loads 7, which cannot be called",
    ),
    "an export that raises": (
        {"export": raises(ValueError("no such op"))},
        PluginError,
        "ValueError: no such op",
    ),
    "an export that exits": (
        {"export": raises(SystemExit(3))},
        PluginError,
        "failed: SystemExit: 3",
    ),
    "a load that raises": ({"load": raises(KeyError("ir"))}, PluginError, "failed: KeyError: 'ir'"),
    "a full disk": (
        {"export": raises(OSError(errno.ENOSPC, "No space left on device"))},
        ResultError,
        "the export cannot be written: No space left on device",
    ),
    "an empty file": ({"word": ""}, PluginError, "wrote no file"),
    "no file": (
        {"export": lambda self, network, example, about, path: path.unlink()},
        PluginError,
        "wrote no file",
    ),
}


@pytest.mark.parametrize("before", ["", "an earlier network"])
@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_agree_leaves_nothing(
    what: str, before: str, stored: Result, tmp_path: Path
) -> None:
    parts, kind, said = WRONG[what]
    path = tmp_path / "a.mem"
    if before:
        path.write_text(before)
    with pytest.raises(kind) as told:
        export(stored, with_(**parts), "memory", path)
    assert said in str(told.value)
    assert [each.name for each in tmp_path.iterdir()] == ["a.mem"] * bool(before)
    assert not before or path.read_text() == before


@pytest.mark.parametrize(
    ("name", "out", "given", "said"),
    [
        ("memry", "a.mem", {}, "no exporter is called 'memry', did you mean 'memory'?"),
        ("memory", "a.onnx", {}, "a file of the exporter 'memory' ends in .mem; found"),
        ("memory", ".mem", {}, "ends in .mem; found"),
        ("memory", "no/a.mem", {}, "there is no folder"),
        ("memory", "folder.mem", {}, "is a folder; name a file"),
        (
            "memory",
            "a.mem",
            {"limits": Limits(tolerance=-1.0)},
            "--tolerance takes a number of at least 0; found -1",
        ),
        (
            "memory",
            "a.mem",
            {"limits": Limits(loss=float("nan"))},
            "--max-loss takes a number of at least 0; found nan",
        ),
        ("memory", "a.mem", {"keep_row": True}, "--row: the exporter 'memory' names no runtime"),
        ("memory", "a.mem", {"knobs": {"opset": 17}}, "exporter memory has no knob 'opset'"),
    ],
)
def test_what_cannot_be_is_refused(
    name: str, out: str, given: dict[str, Any], said: str, stored: Result, tmp_path: Path
) -> None:
    (tmp_path / "folder.mem").mkdir()
    with pytest.raises(DistillbenchError) as told:
        export(stored, with_(), name, tmp_path / out, **given)
    assert said in str(told.value)


def test_a_row_in_8_bits_says_which_run_to_export(stored: Result, tmp_path: Path) -> None:
    made = quantize(stored, installed())
    with pytest.raises(DistillbenchError, match=f"was never trained so; export {stored.id}"):
        export(made, with_(), "memory", tmp_path / "a.mem")


def test_the_command_prints_the_largest_difference(
    command: Callable[..., tuple[int, str, str]], stored: Result, tmp_path: Path
) -> None:
    flags = [
        "--to",
        "safetensors-bundle",
        "--out",
        tmp_path / "a.safetensors",
        "--results",
        stored.path.parent,
    ]
    code, out, err = command("export", stored.id, *flags)
    assert code == 0, err
    assert out == f"{tmp_path / 'a.safetensors'}: logits of 32 test videos differ by at most 0\n"
    code, _, err = command("export", stored.id, *flags, "--set", "student.cell_size=3")
    assert code == 2
    assert "--set takes exporter.KNOB=VALUE here; found 'student.cell_size'" in err
