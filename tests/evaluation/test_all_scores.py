"""Every score of a split is kept in bounded memory, beside the labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from distillbench.evaluation import all_scores
from distillbench.evaluation.all_scores import AllScores
from distillbench.interfaces import Labels
from distillbench.metrics import mean_average_precision


@pytest.mark.parametrize("memory", [0, 1000, 1 << 30])
def test_scores_are_walked_in_order_with_their_labels_wherever_they_are_kept(
    monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    monkeypatch.setattr(all_scores, "_MEMORY", memory)
    monkeypatch.setattr(all_scores, "_BLOCK_NUMBERS", 7 * 9)
    generator = np.random.default_rng(0)
    truth = generator.random((50, 9)) < 0.3
    scores = generator.standard_normal((50, 9)).astype(np.float32)
    offsets = torch.from_numpy(np.concatenate([[0], truth.sum(1).cumsum()]))
    kept = AllScores(Labels(offsets, torch.from_numpy(truth.nonzero()[1]), 9))
    for start in range(0, 50, 8):
        kept.append(scores[start : start + 8])
    for _ in range(2):
        walked = list(kept.batches())
        assert np.array_equal(np.concatenate([block for block, _ in walked]), scores)
        assert np.array_equal(np.concatenate([labels for _, labels in walked]), truth)
    expected = np.mean([average_precision_score(truth[:, c], scores[:, c]) for c in range(9)])
    assert mean_average_precision(kept.batches, 9) == pytest.approx(expected, abs=1e-12)


def test_what_is_shown_to_metrics_cannot_be_written_to() -> None:
    kept = AllScores(Labels(torch.tensor([0, 1]), torch.tensor([0]), 2))
    kept.append(np.ones((1, 2), dtype=np.float32))
    ((scores, _),) = kept.batches()
    with pytest.raises(ValueError, match="read-only"):
        scores[:] = 0.0
