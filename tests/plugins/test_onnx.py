"""Exported networks score in onnxruntime as they do here, and say how they are used."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from running import installed, run_experiment

from distillbench.analysis.loading import load
from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ConfigError, DataError, NotApplicableError, ResultError
from distillbench.experiments.context import RunContext
from distillbench.experiments.export import Exported, Limits, export
from distillbench.interfaces import Clips, Codec
from distillbench.networks import Model
from distillbench.results.store import Result
from distillbench_plugins.exporters.onnx import Onnx
from distillbench_plugins.layers.onnx_graphs import loaded, onnx_model

_WHY = "{} absent: pip install 'distillbench[export]'"
onnx, onnxscript, onnxruntime = (
    pytest.importorskip(library, reason=_WHY.format(library))
    for library in ("onnx", "onnxscript", "onnxruntime")
)

DATA = [f"data.{split}={count}" for split, count in (("train", 300), ("validation", 40))]
STUDENTS = {
    "hrnn": ({"student": "hrnn"}, ["student.cell_size=16"]),
    "netvlad": ({"student": "netvlad"}, ["student.clusters=4", "student.size=24"]),
    "transformer": ({"student": "transformer"}, ["student.size=16", "student.heads=2"]),
    "early exit": (
        {"student": "frameexit", "exit-policy": "margin", "loss": "exits-ce,ce"},
        ["student.size=24", "student.exits=1,3"],
    ),
}


def spec_of(name: str) -> RunSpec:
    chosen, knobs = STUDENTS[name]
    given = {
        "data": "digits",
        "schedule": "scratch",
        "selector": "uniform",
        "k": 6,
        **{key.replace("-", "_"): value for key, value in chosen.items()},
    }
    assignments = [*DATA, "data.test=300", "data.frames=12", "training.epochs=12", *knobs]
    (spec,) = specs([flags(given, [*assignments, "training.batch_size=32"])], installed())
    return spec


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Result]:
    folder, found = tmp_path_factory.mktemp("results"), dict[str, Result]()

    def train(name: str) -> Result:
        if name not in found:
            found[name] = run_experiment(spec_of(name), RunContext(folder, "cpu"))
        return found[name]

    return train


@pytest.fixture(scope="module")
def file(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The hierarchical RNN as ONNX."""
    path = tmp_path_factory.mktemp("files") / "hrnn.onnx"
    return export(trained("hrnn"), installed(), "onnx", path)


def quality(result: Result) -> float:
    value = result.record.metrics["gap"]
    assert value is not None
    return float(value)


def test_the_hierarchical_rnn_is_four_lstm_operators(file: Exported) -> None:
    operators = Counter(node.op_type for node in onnx.load(file.path).graph.node)
    assert operators["LSTM"] == 4
    assert operators["Loop"] == operators["Scan"] == 0


def test_it_agrees_and_keeps_its_quality(file: Exported, trained: Any) -> None:
    assert file.difference <= 1e-5
    assert file.row is not None
    assert abs(quality(file.row) - quality(trained("hrnn"))) <= 0.0005
    stored = file.row.record.export
    assert stored is not None
    assert stored.runtime == f"onnxruntime {onnxruntime.__version__}"
    assert stored.bytes == file.path.stat().st_size


@pytest.mark.parametrize("head", ["moe", "logistic", "mlp"])
@pytest.mark.parametrize("sure", [10.0, 120.0])
def test_classes_that_a_network_is_sure_of_have_the_same_logits(
    head: str, sure: float, tmp_path: Path
) -> None:
    """The logarithm of a sigmoid has few digits left at -10, and is that of 0 at -120."""
    torch.manual_seed(0)
    encoder, heads = (
        installed().find(kind, name) for kind, name in (("student", "mean-pool"), ("head", head))
    )
    assert encoder is not None
    assert heads is not None
    built = heads.cls(16, 5)
    with torch.no_grad():
        for name, weight in built.named_parameters():
            if name.endswith("bias"):
                weight.copy_(torch.linspace(-sure, sure, len(weight)))
    model = Model(encoder.cls(8, size=16), built, Codec(), features={"all": 8}).eval()
    frames = torch.randint(0, 256, (6, 3, 8), dtype=torch.uint8)
    clips = Clips(frames, torch.full((6,), 3), torch.arange(3).repeat(6, 1), 3)
    path = tmp_path / "sure.onnx"
    path.write_bytes(onnx_model(model, clips, {"frames": 3}).SerializeToString())
    with torch.inference_mode():
        expected = model(clips).logits
    assert torch.isfinite(expected).all()
    assert loaded(path)(clips).numpy() == pytest.approx(expected.numpy(), rel=1e-6, abs=1e-5)


def test_only_what_the_network_depends_on_is_an_input(file: Exported) -> None:
    session = onnxruntime.InferenceSession(file.path, providers=["CPUExecutionProvider"])
    shapes = {each.name: (each.type, each.shape[1:]) for each in session.get_inputs()}
    assert shapes == {"frames": ("tensor(uint8)", [6, 64]), "lengths": ("tensor(int64)", [])}
    assert [each.name for each in session.get_outputs()] == ["logits", "probabilities"]
    about = json.loads(session.get_modelmeta().custom_metadata_map["distillbench"])
    assert about["class_names"] == [str(digit) for digit in range(10)]
    assert about["selector"]["name"] == "uniform"
    assert "equal distances" in about["selector"]["rule"]
    assert (about["k"], about["codec"]["scale"]) == (6, pytest.approx(3 / 255))


def test_the_example_beside_it_runs_without_us(file: Exported) -> None:
    assert file.readme is not None
    text = file.readme.read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(example.strip().splitlines()) <= 12
    assert "distillbench" not in example.replace('map["distillbench"]', "")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=file.path.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    printed = [line.split() for line in done.stdout.splitlines()]
    session = onnxruntime.InferenceSession(file.path, providers=["CPUExecutionProvider"])
    inputs = {"frames": np.zeros((1, 6, 64), np.uint8), "lengths": np.array([6])}
    (probabilities,) = session.run(["probabilities"], inputs)
    best = probabilities[0].argsort()[::-1][:5]
    assert printed == [[f"{probabilities[0, digit]:.4f}", str(digit)] for digit in best]


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDENTS)
def test_a_student_keeps_its_quality_in_32_bits_and_loses_little_in_8(
    name: str, trained: Any, tmp_path: Path
) -> None:
    result = trained(name)
    whole = export(result, installed(), "onnx", tmp_path / "a.onnx", keep_row=True)
    small = export(
        result,
        installed(),
        "onnx-int8",
        tmp_path / "b.onnx",
        limits=Limits(loss=0.05),
        keep_row=True,
    )
    assert whole.difference <= 1e-4
    assert whole.row is not None
    assert small.row is not None
    assert abs(quality(whole.row) - quality(result)) <= 0.0005
    assert 1e-4 < small.difference < 2.0
    assert quality(result) > 0.3
    assert quality(small.row) > quality(result) - 0.05
    assert small.row.record.machine.precision == "int8"
    ids = {each.id for each in load([result.path.parent]).results}
    assert {result.id, f"{result.id}-onnx", f"{result.id}-onnx-int8"} <= ids
    opened = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    assert ("used" in [each.name for each in opened.get_outputs()]) == (name == "early exit")
    assert ("times" in [each.name for each in opened.get_inputs()]) == (name == "transformer")


@pytest.mark.slow
def test_lstms_are_in_8_bits_too(trained: Any, tmp_path: Path) -> None:
    export(trained("hrnn"), installed(), "onnx-int8", tmp_path / "b.onnx")
    operators = Counter(node.op_type for node in onnx.load(tmp_path / "b.onnx").graph.node)
    assert operators["DynamicQuantizeLSTM"] == 4
    assert operators["LSTM"] == operators["MatMul"] == operators["Gemm"] == 0
    small = (tmp_path / "b.onnx").stat().st_size
    export(trained("hrnn"), installed(), "onnx", tmp_path / "a.onnx")
    assert small < 0.6 * (tmp_path / "a.onnx").stat().st_size


def test_a_row_is_stored_and_leads_back_to_its_run(
    command: Callable[..., tuple[int, str, str]], file: Exported, trained: Any, tmp_path: Path
) -> None:
    result = trained("hrnn")
    place = ["--results", result.path.parent]
    out = ["--out", tmp_path / "a.onnx"]
    code, printed, err = command("export", result.id, "--to", "onnx", *out, "--row", *place)
    assert code == 0, err
    assert "on 1 thread:" in printed
    assert "a.onnx.README.md: how to use it" in printed
    row = f"{result.id}-onnx"
    assert (result.path.parent / f"{row}.json").is_file()
    code, printed, err = command("leaderboard", result.path.parent, "--where", "exporter=onnx")
    assert code == 0, err
    assert "(onnx)" in printed
    code, _, err = command("export", row, "--to", "onnx", "--out", tmp_path / "b.onnx", *place)
    assert code == 2
    assert f"is an exported file's row; export {result.id}" in err


@pytest.mark.parametrize("cut", [0, 7, 1000, -1])
def test_a_damaged_file_is_refused(cut: int, file: Exported, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(file.path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"cut\.onnx'"):
        Onnx().load(path)


def test_a_model_of_somebody_else_is_refused(file: Exported, tmp_path: Path) -> None:
    model = onnx.load(file.path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(DataError, match="that distillbench did not export"):
        Onnx().load(tmp_path / "other.onnx")


def test_a_full_disk_is_told_and_nothing_is_left(
    trained: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ResultError, match="cannot be written: No space left on device"):
        export(trained("hrnn"), installed(), "onnx", tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_a_quality_that_fell_is_no_export(
    trained: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def always_nine(clips: Clips) -> torch.Tensor:
        return torch.tensor([[0.0] * 9 + [9.0]]).repeat(len(clips.lengths), 1)

    monkeypatch.setattr(Onnx, "export", lambda self, *given: given[-1].write_bytes(b"model"))
    monkeypatch.setattr(Onnx, "precision", "int8")
    monkeypatch.setattr(Onnx, "load", lambda *given: always_nine)
    monkeypatch.setattr(Onnx, "readme", lambda *given: "")
    said = r"is worse than run .*: GAP@20 0\.\d+ on the test videos, where the network had 0\.\d+"
    with pytest.raises(ResultError, match=said):
        export(trained("hrnn"), installed(), "onnx", tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'distillbench[export]'")):
        Onnx().load(tmp_path / "a.onnx")


def test_nothing_to_quantize_is_refused(tmp_path: Path) -> None:
    from distillbench_plugins.layers.onnx_graphs import quantized

    node = onnx.helper.make_node("Neg", ["x"], ["y"])
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy")
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "none", [x], [y]),
        opset_imports=[onnx.helper.make_opsetid("", 20)],
        ir_version=10,
    )
    with pytest.raises(NotApplicableError, match="no product of weights that can be quantized"):
        quantized(model, tmp_path)
    assert not list(tmp_path.iterdir())
