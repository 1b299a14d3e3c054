"""The traced program of a network, for torch without distillbench."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from distillbench import hookimpl
from distillbench.deployment import deployed, inputs_of, traced
from distillbench.errors import DataError
from distillbench.interfaces import Clips, Exporter
from distillbench_plugins.layers.usage import usage

_ABOUT = "distillbench.json"
_PARTS = re.compile(
    r"[^/]+/(archive_(format|version)|byteorder|version|\.data/\w+|\.format_version|\.storage_alignment"
    r"|models/model\.json|extra/distillbench\.json"
    r"|data/(weights|constants)/(model_\w+_config\.json|weight_\d+|tensor_\d+)"
    r"|data/sample_inputs/model\.pt)"
)
"""What an archive may hold. Others could hold pickled objects, which torch would load."""


class TorchExport(Exporter):
    """The program that `torch.export` traces, as one `.pt2` file, for torch alone.

    Stored frames in, logits and probabilities out, in float32; any number of videos at once. What
    ExecuTorch and AOTInductor begin with.
    """

    suffix: ClassVar[str] = ".pt2"
    runtime: ClassVar[str] = "torch"

    def export(
        self, network: nn.Module, example: Clips, about: Mapping[str, Any], path: Path
    ) -> None:
        """Writes the file."""
        program = traced(deployed(network, example, about))
        program.example_inputs = None  # they would be pickled
        # Not straight to the disk: where that is full, torch's writer ends the process.
        held = io.BytesIO()
        torch.export.save(program, held, extra_files={_ABOUT: json.dumps(dict(about))})
        path.write_bytes(held.getbuffer())

    def load(self, path: Path) -> Callable[[Clips], Tensor]:
        """Loads the program; raises `DataError` for a file that could hold anything else."""
        _require_plain(path)
        held = {_ABOUT: ""}
        try:
            program = torch.export.load(path, extra_files=held)
            slots = int(json.loads(held[_ABOUT])["frames"])
        except Exception as error:  # torch raises whatever its readers stumble over
            raise DataError(f"'{path}' is not a program of torch, or a damaged one") from error
        module = program.module()

        def logits(clips: Clips) -> Tensor:
            with torch.no_grad():
                made: Tensor = module(**inputs_of(clips, slots))[0]
            return made

        return logits

    def readme(self, about: Mapping[str, Any], path: Path) -> str:
        """Returns an example of plain torch."""
        slots, width = about["frames"], sum(about["features"].values())
        program = torch.export.load(path)
        shown = program.module_call_graph[0].signature
        assert shown is not None
        kind = _kind(program)
        example = f'''import json
import torch

held = {{"{_ABOUT}": ""}}
program = torch.export.load("{path.name}", extra_files=held).module()
about = json.loads(held["{_ABOUT}"])
frames = torch.zeros(1, {slots}, {width}, dtype=torch.{kind})  # chosen frames of one video
lengths, times = torch.tensor([{slots}]), torch.arange({slots})[None]  # how many, and which
_, probabilities, *_ = program(frames=frames, lengths=lengths, times=times)
for best in probabilities[0].argsort(descending=True)[:5].tolist():
    name = about["class_names"][best] if about["class_names"] else best
    print(f"{{probabilities[0, best]:.4f}}  {{name}}")
'''
        names = ("frames", "lengths", "times")
        return usage(about, path, "A program of torch.export, in float32", names, kind, example)


def _kind(program: torch.export.ExportedProgram) -> str:
    (frames,) = (node for node in program.graph.nodes if node.name == "frames")
    return str(frames.meta["val"].dtype).removeprefix("torch.")


def _require_plain(path: Path) -> None:
    """Raises `DataError` unless a file is an archive of a program and of plain tensors."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            others = [name for name in names if not _PARTS.fullmatch(name)]
            configs = [name for name in names if name.endswith("_config.json")]
            payloads = [each for name in configs for each in _payloads(archive.read(name))]
            samples = [archive.read(name) for name in names if name.endswith("/model.pt")]
    except (OSError, zipfile.BadZipFile, ValueError, AttributeError, KeyError) as error:
        raise DataError(f"'{path}' is not a program of torch, or a damaged one") from error
    if others or any(samples) or any(payload.get("use_pickle") for payload in payloads):
        raise DataError(f"'{path}' was not exported by torch-export: it may hold pickled objects")


def _payloads(config: bytes) -> list[Mapping[str, Any]]:
    return list(json.loads(config)["config"].values())


@hookimpl
def exporters() -> dict[str, type[Exporter]]:
    """Offers `torch-export`."""
    return {"torch-export": TorchExport}
