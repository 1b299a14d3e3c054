"""Cross-entropy with one label agrees with its formula, computed apart in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distillbench.errors import ConfigError
from distillbench.interfaces import Encoding, LossBatch, LossContext, Output, Shapes
from distillbench_plugins.losses.softmax_ce import SoftmaxCrossEntropy

CONTEXT = LossContext(Shapes(3, {}, 5), None, 10)


@given(
    seed=st.integers(0, 10_000),
    videos=st.integers(1, 6),
    smoothing=st.floats(0.0, 1.0),
    scale=st.floats(0.1, 30.0),
)
@settings(max_examples=60, deadline=None)
def test_value_and_gradient_are_those_of_the_formula(
    seed: int, videos: int, smoothing: float, scale: float
) -> None:
    drawn = np.random.default_rng(seed)
    logits, classes = scale * drawn.standard_normal((videos, 5)), drawn.integers(0, 5, videos)
    targets = (1 - smoothing) * np.eye(5)[classes] + smoothing / 5
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    given_logits = torch.tensor(logits, requires_grad=True)
    output = Output(Encoding(torch.zeros(videos, 3)), given_logits)
    batch = LossBatch(torch.eye(5)[torch.tensor(classes)], torch.arange(videos))
    value = SoftmaxCrossEntropy(CONTEXT, label_smoothing=smoothing)(output, batch)
    value.backward()
    assert float(value.detach()) == pytest.approx(-(targets * log_p).sum() / videos, abs=1e-9)
    np.testing.assert_allclose(
        given_logits.grad.numpy(), (np.exp(log_p) - targets) / videos, atol=1e-9
    )


def test_smoothing_beyond_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"label_smoothing=1.5 is not within \[0, 1\]"):
        SoftmaxCrossEntropy(CONTEXT, label_smoothing=1.5)
