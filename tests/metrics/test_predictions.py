from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from distillbench.errors import ResultError
from distillbench.interfaces import Predictions
from distillbench.metrics.predictions import load, save
from distillbench.metrics.topk import TopK
from measuring import measured


@pytest.fixture
def predictions() -> Predictions:
    accumulator = TopK(30)
    generator = torch.Generator().manual_seed(0)
    accumulator.update(
        torch.randn(6, 30, generator=generator), torch.rand(6, 30, generator=generator) < 0.2
    )
    return accumulator.predictions(["plain", 'quote " and \n line', "ünïcode", "", "e", "f"])


def test_what_is_loaded_is_what_was_saved(predictions: Predictions, tmp_path: Path) -> None:
    save(predictions, tmp_path / "top20.safetensors")
    loaded = load(tmp_path / "top20.safetensors")
    assert loaded.ids == predictions.ids
    for name in ("classes", "scores", "hits", "positives"):
        assert np.array_equal(getattr(loaded, name), getattr(predictions, name))
    assert measured(loaded) == measured(predictions)
    assert [path.name for path in tmp_path.iterdir()] == ["top20.safetensors"]


def test_kinds_and_shapes_are_as_promised(predictions: Predictions) -> None:
    assert np.issubdtype(predictions.classes.dtype, np.signedinteger)
    assert predictions.classes.shape == (6, 20)
    assert (predictions.scores.dtype, predictions.scores.shape) == (np.float32, (6, 20))
    assert (predictions.hits.dtype, predictions.hits.shape) == (np.bool_, (6, 20))
    assert predictions.positives.shape == (6,)


def test_names_must_be_as_many_as_videos() -> None:
    with pytest.raises(ValueError, match="1 ids for 0 videos"):
        TopK(3).predictions(["a"])


def test_a_failed_write_leaves_the_old_file_and_no_other(
    predictions: Predictions, tmp_path: Path
) -> None:
    target = tmp_path / "top20.safetensors"
    target.mkdir()
    with pytest.raises(ResultError, match="cannot be written"):
        save(predictions, target)
    assert [path.name for path in tmp_path.iterdir()] == ["top20.safetensors"]


def test_a_file_that_is_missing_damaged_or_of_another_kind_is_named(
    predictions: Predictions, tmp_path: Path
) -> None:
    path = tmp_path / "top20.safetensors"
    with pytest.raises(ResultError, match="cannot read predictions: No such file"):
        load(path)
    save(predictions, path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ResultError, match="not a safetensors file, or a damaged one"):
        load(path)
    save_file({"scores": np.zeros(3)}, path)
    with pytest.raises(ResultError, match="this is 'a safetensors file of another kind'"):
        load(path)
