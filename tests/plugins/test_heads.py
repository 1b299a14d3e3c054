from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distillbench.errors import ConfigError
from distillbench.interfaces import Head
from distillbench_plugins.heads.logistic import Logistic
from distillbench_plugins.heads.moe import MixtureOfExperts

HEADS = [MixtureOfExperts, Logistic]


def reference(head: MixtureOfExperts, summary: Tensor) -> Tensor:
    """The probability as the formula reads, in float64."""
    summary = summary.double()
    gates = (
        (summary @ head.gates.weight.double().T)
        .view(-1, head.classes, head.mixtures + 1)
        .softmax(2)
    )
    experts = (summary @ head.experts.weight.double().T + head.experts.bias.double()).view(
        -1, head.classes, head.mixtures
    )
    return (gates[:, :, :-1] * experts.sigmoid()).sum(2)


@settings(max_examples=20, deadline=None)
@given(mixtures=st.integers(1, 4), seed=st.integers(0, 99), scale=st.sampled_from([0.1, 1.0, 5.0]))
def test_mixture_probabilities_agree_with_the_formula_in_float64(
    mixtures: int, seed: int, scale: float
) -> None:
    torch.manual_seed(seed)
    head = MixtureOfExperts(5, 7, mixtures=mixtures).eval()
    summary = scale * torch.randn(3, 5)
    torch.testing.assert_close(
        head(summary).double().sigmoid(), reference(head, summary), rtol=1e-5, atol=1e-7
    )


def test_mixture_logits_stay_exact_where_probabilities_round_to_zero_or_one() -> None:
    head = MixtureOfExperts(5, 7).eval()
    summary = 30 * torch.randn(20, 5)
    logits = head(summary)
    exact = head.double()(summary.double())
    assert exact.abs().max() > 40
    torch.testing.assert_close(logits.double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("scale", [0.0, 1e3, 1e10, 1e30])
def test_logits_and_gradients_are_finite_however_large_the_encoding(
    kind: type[Head], scale: float
) -> None:
    head = kind(5, 7).eval()
    summary = (scale * torch.randn(4, 5)).requires_grad_()
    logits = head(summary)
    logits.sum().backward()
    assert logits.isfinite().all()
    assert summary.grad is not None
    assert summary.grad.isfinite().all()


@pytest.mark.parametrize("kind", HEADS)
def test_every_weight_gets_a_gradient(kind: type[Head]) -> None:
    head = kind(5, 7)
    head(torch.randn(4, 5)).square().sum().backward()
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in head.parameters())


@pytest.mark.parametrize("kind", HEADS)
def test_dropout_acts_on_the_encoding_in_training_alone(kind: type[Head]) -> None:
    head, summary = kind(50, 7), torch.randn(4, 50)
    assert not torch.equal(head(summary), head(summary))
    head.eval()
    assert torch.equal(head(summary), head(summary))
    undropped = kind(50, 7, dropout=0.0)  # type: ignore[call-arg]
    assert torch.equal(undropped(summary), undropped(summary))


def test_gates_have_no_bias_and_a_dummy_and_matrices_start_glorot_uniform() -> None:
    head = MixtureOfExperts(40, 10, mixtures=2)
    assert head.gates.bias is None
    assert head.gates.weight.shape == (30, 40)
    assert head.experts.weight.shape == (20, 40)
    assert not head.experts.bias.any()
    for matrix in (head.gates.weight, head.experts.weight):
        assert matrix.abs().max() <= (6 / (matrix.shape[0] + 40)) ** 0.5


def test_the_dummy_says_no_to_an_encoding_of_zero() -> None:
    probabilities = MixtureOfExperts(5, 7, mixtures=2).eval()(torch.zeros(1, 5)).sigmoid()
    torch.testing.assert_close(probabilities, torch.full((1, 7), 1 / 3))


def test_under_autocast_the_mixture_is_still_summed_in_float32() -> None:
    head, summary = MixtureOfExperts(5, 7).eval(), torch.randn(4, 5)
    with torch.autocast("cpu", torch.bfloat16):
        logits = head(summary)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, head(summary), atol=0.05, rtol=0.05)


def test_knobs_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="mixtures=0"):
        MixtureOfExperts(5, 7, mixtures=0)
    for kind in HEADS:
        with pytest.raises(ConfigError, match=r"dropout=1\.0"):
            kind(5, 7, dropout=1.0)
