"""A program of torch is read only if it can hold nothing that torch would unpickle."""

from __future__ import annotations

import errno
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from distillbench.errors import DataError
from distillbench.interfaces import Clips, Codec
from distillbench.networks import Model
from distillbench_plugins.encoders.mean_pool import MeanPool
from distillbench_plugins.exporters.torch_export import TorchExport
from distillbench_plugins.heads.logistic import Logistic

ABOUT = {"frames": 3, "features": {"toy": 4}}


def clips(*lengths: int) -> Clips:
    frames = torch.randint(0, 256, (len(lengths), max(lengths), 4), dtype=torch.uint8)
    times = torch.arange(max(lengths)).repeat(len(lengths), 1)
    return Clips(frames, torch.tensor(lengths), times, 3)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return Model(MeanPool(4, size=3), Logistic(3, 2), Codec(), features={"toy": 4}).eval()


@pytest.fixture(scope="module")
def program(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "toy.pt2"
    TorchExport().export(model, clips(3, 2), ABOUT, path)
    return path


def test_it_scores_any_number_of_videos_as_the_network_does(model: Model, program: Path) -> None:
    logits = TorchExport().load(program)
    for lengths in ((3, 2), (1,), (2, 3, 1, 3, 2)):
        shown = clips(*lengths)
        with torch.no_grad():
            torch.testing.assert_close(logits(shown), model(shown).logits)


def test_a_full_disk_ends_an_export_and_not_the_process(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)  # what torch's own writer would not survive
    with pytest.raises(OSError, match="No space left on device"):
        TorchExport().export(model, clips(3, 2), ABOUT, tmp_path / "toy.pt2")
    assert not list(tmp_path.iterdir())


def rewritten(path: Path, to: Path, change: Callable[[str, bytes], bytes], **more: bytes) -> Path:
    """Copies an archive with other contents, and more entries."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        folder = old.namelist()[0].partition("/")[0]
        for name, content in more.items():
            new.writestr(f"{folder}/{name}", content)
    return to


def pickled_weights(name: str, content: bytes) -> bytes:
    if not name.endswith("weights_config.json"):
        return content
    config = json.loads(content)
    for payload in config["config"].values():
        payload["use_pickle"] = True
    return json.dumps(config).encode()


def pickled_samples(name: str, content: bytes) -> bytes:
    if not name.endswith("sample_inputs/model.pt"):
        return content
    held = io.BytesIO()
    torch.save({}, held)
    return held.getvalue()


def as_it_is(name: str, content: bytes) -> bytes:
    return content


@pytest.mark.parametrize(
    ("change", "more"),
    [
        (pickled_weights, {}),
        (pickled_samples, {}),
        (as_it_is, {"data/constants/opaque_obj_0": pickle.dumps("hello")}),
        (as_it_is, {"data/weights/model.pt": pickle.dumps("hello")}),
        (as_it_is, {"data/aotinductor/model/model.so": b"hello"}),
    ],
)
def test_an_archive_that_may_hold_pickled_objects_is_refused(
    change: Any, more: dict[str, bytes], program: Path, tmp_path: Path
) -> None:
    other = rewritten(program, tmp_path / "other.pt2", change, **more)
    with pytest.raises(DataError, match="it may hold pickled objects"):
        TorchExport().load(other)


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_a_damaged_program_is_refused(cut: int, program: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.pt2"
    path.write_bytes(program.read_bytes()[:cut])
    with pytest.raises(DataError, match="is not a program of torch, or a damaged one"):
        TorchExport().load(path)


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other/archive_version", "0")
    with pytest.raises(DataError, match="is not a program of torch, or a damaged one"):
        TorchExport().load(path)
