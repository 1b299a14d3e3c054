"""A bundle holds all that its network needs: neither the data nor the results are read again."""

from __future__ import annotations

import json

import pytest
import torch
from running import installed, run_experiment
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from distillbench.errors import DataError, DistillbenchError
from distillbench.evaluation.scores import logits_of
from distillbench.experiments.context import RunContext
from distillbench.experiments.export import export
from distillbench.experiments.restore import restore
from distillbench_plugins.exporters.safetensors_bundle import SafetensorsBundle


@pytest.fixture(scope="module")
def bundle(make_spec, tmp_path_factory):
    """A bundle, and what its network makes of test videos."""
    folder = tmp_path_factory.mktemp("bundle")
    result = run_experiment(make_spec(schedule="parallel"), RunContext(folder, "cpu"))
    path = folder / "network.safetensors"
    export(result, installed(), "safetensors-bundle", path)
    experiment = restore(result, installed(), "cpu").experiment
    view = experiment.evaluation_views["student"]
    return path, list(
        logits_of(experiment.models["student"], experiment.splits.test, view, 8, experiment.device)
    )


def test_it_is_read_without_the_data(bundle, monkeypatch):
    path, expected = bundle
    monkeypatch.setattr("distillbench_plugins.datasets.digits.Digits.splits", lambda self: 1 / 0)
    loaded = SafetensorsBundle().load(path)
    with torch.inference_mode():
        assert all(torch.equal(loaded(clips), logits) for clips, logits in expected)


def test_everybody_can_read_what_it_says(bundle):
    with safe_open(bundle[0], framework="pt") as file:
        about = json.loads(file.metadata()["about"])
    assert about["codec"].keys() == {"scale", "offset", "normalise"}
    assert about["encoder"]["knobs"]["cell_size"] == 8
    assert about["network"] == "student"
    assert {
        "selector",
        "k",
        "head",
        "features",
        "class_names",
        "metrics",
        "run",
        "precision",
    } <= about.keys()


@pytest.mark.parametrize("cut", [0, 7, 100, -1])
def test_a_damaged_bundle_is_refused(cut, bundle, tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(bundle[0].read_bytes()[:cut])
    with pytest.raises(DataError, match="is not an exported network, or a damaged one"):
        SafetensorsBundle().load(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda about: about.pop("encoder"), "does not describe a network: KeyError('encoder')"),
        (lambda about: about.update(classes="ten"), "does not describe a network"),
        (lambda about: about.update(precision="fp8"), "its precision is 'fp8'"),
        (lambda about: about["encoder"].update(name="hrnnn"), "no student is called 'hrnnn'"),
        (lambda about: about["encoder"]["knobs"].update(cells=3), "has no knob 'cells'"),
        (
            lambda about: about["encoder"]["knobs"].update(cell_size=9),
            "does not hold the weights of the network",
        ),
        (
            lambda about: about["features"].update(pixels=32),
            "does not hold the weights of the network",
        ),
        (lambda about: about.update(classes=11), "does not hold the weights of the network"),
    ],
)
def test_a_bundle_that_describes_another_network_is_refused(change, said, bundle, tmp_path):
    with safe_open(bundle[0], framework="pt") as file:
        about = json.loads(file.metadata()["about"])
        form = file.metadata()["format"]
    change(about)
    path = tmp_path / "other.safetensors"
    save_file(load_file(bundle[0]), path, {"format": form, "about": json.dumps(about)})
    with pytest.raises(DistillbenchError) as told:
        SafetensorsBundle().load(path)
    assert said in str(told.value)


def test_a_full_disk_is_told_and_nothing_is_left(bundle, command, monkeypatch, tmp_path):
    from safetensors import SafetensorError

    def full(*given):
        raise SafetensorError(
            "Error while serializing: I/O error: No space left on device (os error 28)"
        )

    monkeypatch.setattr("distillbench_plugins.exporters.safetensors_bundle.save_file", full)
    (run,) = bundle[0].parent.glob("*.json")
    code, _, err = command(
        "export", run, "--to", "safetensors-bundle", "--out", tmp_path / "a.safetensors"
    )
    assert code == 2
    assert "cannot be written: Error while serializing: I/O error: No space left on device" in err
    assert not list(tmp_path.iterdir())
