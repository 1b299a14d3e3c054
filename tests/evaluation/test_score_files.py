from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from running import installed

from distillbench.errors import DataError
from distillbench.evaluation.score_files import score_files as scored
from distillbench.interfaces import LabelKind
from distillbench.metrics.topk import TopK
from measuring import measured

VIDEOS, CLASSES = 12, 25
IDS = [f"v{number}" for number in range(VIDEOS)]


@pytest.fixture
def scores() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((VIDEOS, CLASSES)).astype(np.float32)


@pytest.fixture
def labels() -> NDArray[np.bool_]:
    truth = np.random.default_rng(1).random((VIDEOS, CLASSES)) < 0.15
    truth[:, 24], truth[3] = True, False
    return truth


def score_files(
    predictions: Path, labels: Path, kind: LabelKind = "multi-label"
) -> SimpleNamespace:
    found = scored(predictions, labels, installed(), kind, warn=pytest.fail)
    values = {name: value for name, (_, value) in found.metrics.items()}
    return SimpleNamespace(**values, **found.counts)


def expected(
    scores: NDArray[np.float32], labels: NDArray[np.bool_], whole: bool
) -> SimpleNamespace:
    kept = TopK(CLASSES)
    kept.update(scores, labels)
    batches = (lambda: iter([(scores, labels)])) if whole else None
    return measured(kept.predictions(IDS, batches=batches))


def write_npz(path: Path, name: str, values: NDArray[np.generic], ids: list[str] = IDS) -> Path:
    np.savez(path, ids=np.array(ids), **{name: values})
    return path


def write_long(path: Path, scores: NDArray[np.float32], classes: list[list[int]]) -> Path:
    rows = [(v, c) for v, listed in enumerate(classes) for c in listed]
    columns = {
        "id": [IDS[v] for v, _ in rows],
        "class": [c for _, c in rows],
        "score": [scores[v, c] for v, c in rows],
    }
    pq.write_table(pa.table(columns), path)
    return path


def write_kaggle(path: Path, scores: NDArray[np.float32], classes: list[list[int]]) -> Path:
    lines = [
        f"{IDS[v]}," + " ".join(f"{c} {scores[v, c]}" for c in listed)
        for v, listed in enumerate(classes)
    ]
    path.write_text("\n".join(["VideoId,LabelConfidencePairs", *lines]) + "\n")
    return path


def labels_csv(path: Path, labels: NDArray[np.bool_], ids: list[str] = IDS) -> Path:
    lines = [
        f"{name}," + " ".join(map(str, np.flatnonzero(row)))
        for name, row in zip(ids, labels, strict=True)
    ]
    path.write_text("\n".join(["VideoId,Labels", *lines]) + "\n")
    return path


def labels_long(path: Path, labels: NDArray[np.bool_], ids: list[str] = IDS) -> Path:
    rows = [
        (name, c)
        for name, row in zip(ids, labels, strict=True)
        for c in (np.flatnonzero(row).tolist() or [None])
    ]
    pq.write_table(
        pa.table({"id": [n for n, _ in rows], "class": pa.array([c for _, c in rows], pa.int64())}),
        path,
    )
    return path


def labels_lists(path: Path, labels: NDArray[np.bool_], ids: list[str] = IDS) -> Path:
    lists = pa.array([np.flatnonzero(row).tolist() for row in labels], pa.list_(pa.int64()))
    pq.write_table(pa.table({"id": ids, "labels": lists}), path)
    return path


def labels_npz(path: Path, labels: NDArray[np.bool_], ids: list[str] = IDS) -> Path:
    return write_npz(path, "labels", labels, ids)


LABELS = {
    "npz": (labels_npz, "labels.npz"),
    "csv": (labels_csv, "labels.csv"),
    "long": (labels_long, "labels.parquet"),
    "lists": (labels_lists, "lists.parquet"),
}


@pytest.mark.parametrize("form", LABELS)
def test_every_form_of_labels_gives_the_same_in_any_order(
    form: str, scores: NDArray[np.float32], labels: NDArray[np.bool_], tmp_path: Path
) -> None:
    write, name = LABELS[form]
    predictions = write_npz(tmp_path / "predictions.npz", "scores", scores)
    order = np.random.default_rng(2).permutation(VIDEOS)
    truth = write(tmp_path / name, labels[order], [IDS[v] for v in order])
    assert score_files(predictions, truth) == expected(scores, labels, whole=True)


def test_whole_predictions_give_the_same_in_every_form(
    scores: NDArray[np.float32], labels: NDArray[np.bool_], tmp_path: Path
) -> None:
    truth = labels_npz(tmp_path / "labels.npz", labels)
    every = [list(range(CLASSES))] * VIDEOS
    lists = tmp_path / "lists.parquet"
    pq.write_table(pa.table({"id": IDS, "scores": list(scores)}), lists)
    files = [
        lists,
        write_long(tmp_path / "long.parquet", scores, every),
        write_kaggle(tmp_path / "kaggle.csv", scores, every),
        write_npz(tmp_path / "half.npz", "scores", scores.astype(np.float64), [*IDS]),
    ]
    for predictions in files:
        assert score_files(predictions, truth) == expected(scores, labels, whole=True), (
            predictions.name
        )


@pytest.mark.parametrize("write", [write_long, write_kaggle])
def test_each_videos_best_give_the_same_top_20_metrics_and_no_untruncated_map(
    write: Callable[..., Path],
    scores: NDArray[np.float32],
    labels: NDArray[np.bool_],
    tmp_path: Path,
) -> None:
    best = np.argsort(-scores, axis=1)[:, :20].tolist()
    suffix = ".csv" if write is write_kaggle else ".parquet"
    found = score_files(
        write(tmp_path / f"best{suffix}", scores, best), labels_npz(tmp_path / "labels.npz", labels)
    )
    assert found == expected(scores, labels, whole=False)
    assert found.map is None


def test_fewer_predictions_than_20_are_not_filled_up(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("VideoId,LabelConfidencePairs\na,3 0.9 1 0.5\nb,\n")
    (tmp_path / "l.csv").write_text("VideoId,Labels\na,1 2\nb,3\n")
    found = score_files(tmp_path / "p.csv", tmp_path / "l.csv")
    assert found.gap == pytest.approx(1 / 2 / 3)
    assert (found.hit_at_1, found.perr, found.classes) == (0.0, 0.25, 4)


GOOD_PREDICTIONS = "VideoId,LabelConfidencePairs\na,0 0.5 1 0.25\nb,0 0.5\n"
GOOD_LABELS = "VideoId,Labels\na,0\nb,1\n"


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        (
            GOOD_PREDICTIONS + "c,0 1\n",
            GOOD_LABELS,
            "l.csv: 1 of the 3 videos of .*p.csv are not there, .* 'c'",
        ),
        (
            GOOD_PREDICTIONS,
            GOOD_LABELS + "c,0\nd,0\n",
            "p.csv: 2 of the 4 videos of .*l.csv are not there, .* 'c'",
        ),
        (
            GOOD_PREDICTIONS + "a,0 1\n",
            GOOD_LABELS,
            "p.csv: 1 ids are there more than once, the first of them 'a'",
        ),
        (
            "VideoId,Pairs\na,0 1\n",
            GOOD_LABELS,
            "p.csv: columns LabelConfidencePairs missing; found VideoId, Pairs",
        ),
        (GOOD_PREDICTIONS, "id,Labels\na,0\n", "l.csv: columns VideoId missing; found id, Labels"),
        ("", GOOD_LABELS, "p.csv: columns VideoId, LabelConfidencePairs missing; found none"),
        ("VideoId,LabelConfidencePairs\n", GOOD_LABELS, "p.csv: holds no video"),
        (
            "VideoId,LabelConfidencePairs\na,0\n",
            GOOD_LABELS,
            "line 2: 'a' has a class without a score",
        ),
        (
            "VideoId,LabelConfidencePairs\na,x 1\n",
            GOOD_LABELS,
            "video 'a': 'x' is not a class number",
        ),
        (
            "VideoId,LabelConfidencePairs\na,1.5 1\n",
            GOOD_LABELS,
            "video 'a': '1.5' is not a class number",
        ),
        (
            "VideoId,LabelConfidencePairs\na,0 high\n",
            GOOD_LABELS,
            "video 'a': 'high' is not a score",
        ),
        (
            "VideoId,LabelConfidencePairs\na,0 nan\nb,0 1\n",
            GOOD_LABELS,
            "video 'a' has a score that is not a number",
        ),
        (
            "VideoId,LabelConfidencePairs\na,-1 1\nb,0 1\n",
            GOOD_LABELS,
            "video 'a' has the class -1; .* from 0",
        ),
        (
            "VideoId,LabelConfidencePairs\na,4 1 4 1\nb,0 1\n",
            GOOD_LABELS,
            "video 'a' has the class 4 more than once",
        ),
        (GOOD_PREDICTIONS, "VideoId,Labels\na,\nb,\n", "none of the 2 videos has any"),
    ],
)
def test_a_csv_that_cannot_be_scored_says_why(
    predictions: str, labels: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "p.csv").write_text(predictions)
    (tmp_path / "l.csv").write_text(labels)
    with pytest.raises(DataError, match=message):
        score_files(tmp_path / "p.csv", tmp_path / "l.csv")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=re.escape(f"{tmp_path}/p.csv: no such file; give a file of predictions")
    ):
        score_files(tmp_path / "p.csv", tmp_path / "l.csv")


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"read from \.parquet, \.npz, \.csv; '\.txt' is none of them"
    ):
        score_files(tmp_path / "p.txt", tmp_path / "l.csv")


@pytest.mark.parametrize("suffix", ["npz", "parquet", "csv"])
def test_a_file_of_another_content_is_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"p.{suffix}"
    path.write_bytes(b"\xff\xfe\x00 not what the suffix says")
    with pytest.raises(DataError, match=rf"p\.{suffix}: not a"):
        score_files(path, path)


def npz_problem(tmp_path: Path, **arrays: object) -> str:
    np.savez(tmp_path / "p.npz", **arrays)
    (tmp_path / "l.csv").write_text(GOOD_LABELS)
    with pytest.raises(DataError) as raised:
        score_files(tmp_path / "p.npz", tmp_path / "l.csv")
    return str(raised.value)


def test_an_npz_that_cannot_be_scored_says_why(tmp_path: Path) -> None:
    ids = np.array(["a", "b"])
    assert "arrays scores missing; found ids, values" in npz_problem(
        tmp_path, ids=ids, values=np.zeros((2, 3))
    )
    assert "ids (2,) and scores (3, 3)" in npz_problem(tmp_path, ids=ids, scores=np.zeros((3, 3)))
    assert "scores must be numbers" in npz_problem(
        tmp_path, ids=ids, scores=np.array([["x"], ["y"]])
    )
    assert "not an .npz archive of plain arrays" in npz_problem(
        tmp_path, ids=np.array([None, "a"]), scores=np.zeros((2, 3))
    )
    scores = np.zeros((2, 3))
    scores[1, 2] = np.nan
    assert "video 'b' has a score that is not a number" in npz_problem(
        tmp_path, ids=ids, scores=scores
    )
    assert "video 'b' has the class 1; there are 1 classes" in npz_problem(
        tmp_path, ids=ids, scores=np.zeros((2, 1))
    )


def test_labels_other_than_0_and_1_are_refused(tmp_path: Path) -> None:
    predictions = write_npz(tmp_path / "p.npz", "scores", np.zeros((VIDEOS, 3)))
    with pytest.raises(DataError, match="labels must be 0 or 1"):
        score_files(predictions, write_npz(tmp_path / "l.npz", "labels", np.full((VIDEOS, 3), 0.5)))


def test_numbers_of_classes_that_differ_are_refused(tmp_path: Path) -> None:
    predictions = write_npz(tmp_path / "p.npz", "scores", np.zeros((VIDEOS, 3)))
    with pytest.raises(DataError, match=r"p\.npz has 3 classes and .*l\.npz has 4"):
        score_files(predictions, write_npz(tmp_path / "l.npz", "labels", np.zeros((VIDEOS, 4))))


def test_ids_stored_as_bytes_are_names(
    scores: NDArray[np.float32], labels: NDArray[np.bool_], tmp_path: Path
) -> None:
    np.savez(tmp_path / "p.npz", ids=np.array(IDS).astype(bytes), scores=scores)
    assert score_files(tmp_path / "p.npz", labels_csv(tmp_path / "l.csv", labels)).videos == VIDEOS


def test_null_labels_and_ids_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "labels": [[1, None]]}), tmp_path / "l.parquet")
    (tmp_path / "p.csv").write_text(GOOD_PREDICTIONS)
    with pytest.raises(DataError, match="1 labels are null"):
        score_files(tmp_path / "p.csv", tmp_path / "l.parquet")
    pq.write_table(pa.table({"id": ["a", None], "labels": [[1], [0]]}), tmp_path / "l.parquet")
    with pytest.raises(DataError, match="1 rows have no id"):
        score_files(tmp_path / "p.csv", tmp_path / "l.parquet")


def parquet_problem(tmp_path: Path, **columns: object) -> str:
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    (tmp_path / "l.csv").write_text(GOOD_LABELS)
    with pytest.raises(DataError) as raised:
        score_files(tmp_path / "p.parquet", tmp_path / "l.csv")
    return str(raised.value)


def test_a_parquet_that_cannot_be_scored_says_why(tmp_path: Path) -> None:
    assert "columns score missing; found id, class" in parquet_problem(
        tmp_path, id=["a"], **{"class": [0]}
    )
    assert "columns id missing; found scores" in parquet_problem(tmp_path, scores=[[0.5]])
    assert "not a .parquet file of predictions" in parquet_problem(
        tmp_path, id=["a"], **{"class": ["cat"]}, score=[0.5]
    )
    assert "video 'b' has 1 scores and the first has 2" in parquet_problem(
        tmp_path, id=["a", "b"], scores=[[0.5, 0.1], [0.5]]
    )
    assert "video 'b' has a score that is not a number" in parquet_problem(
        tmp_path, id=["a", "b"], scores=[[0.5, 0.1], [0.5, None]]
    )
    assert "the column scores must hold lists; it holds double" in parquet_problem(
        tmp_path, id=["a", "b"], scores=[0.5, 0.1]
    )
