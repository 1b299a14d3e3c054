"""The mean output of several teachers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distillbench.interfaces import Encoding, Output
from distillbench.training.ensembles import average_outputs


def outputs(
    count: int, seed: int, scale: float = 3.0, widths: tuple[int, ...] = (6,)
) -> list[Output]:
    drawn = torch.Generator().manual_seed(seed)
    return [
        Output(
            Encoding(torch.randn(4, widths[place % len(widths)], generator=drawn)),
            scale * torch.randn(4, 5, generator=drawn),
        )
        for place in range(count)
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(0, 999), st.sampled_from([0.1, 3.0, 10.0]))
def test_multi_label_outputs_are_averaged_as_each_classs_probability(
    count: int, seed: int, scale: float
) -> None:
    members = outputs(count, seed, scale)
    mean = torch.stack([member.logits.double().sigmoid() for member in members]).mean(0)
    found = average_outputs(members, "multi-label").logits
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double().sigmoid(), mean, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found.double(), mean.log() - (1 - mean).log(), rtol=1e-4, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(0, 999), st.sampled_from([0.1, 3.0, 10.0]))
def test_single_label_outputs_are_averaged_as_distributions_over_classes(
    count: int, seed: int, scale: float
) -> None:
    members = outputs(count, seed, scale)
    mean = torch.stack([member.logits.double().softmax(1) for member in members]).mean(0)
    found = average_outputs(members, "single-label").logits
    torch.testing.assert_close(found.double().softmax(1), mean, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found.double(), mean.log(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["multi-label", "single-label"])
def test_confident_teachers_that_disagree_give_finite_logits(kind) -> None:
    (member,) = outputs(1, 0)
    confident = [Output(member.encoding, sign * torch.full((4, 5), 90.0)) for sign in (1.0, -1.0)]
    assert average_outputs(confident, kind).logits.isfinite().all()


@pytest.mark.parametrize("kind", ["multi-label", "single-label"])
def test_an_ensemble_of_equal_members_equals_each_of_them(kind) -> None:
    (member,) = outputs(1, 3)
    found = average_outputs([member] * 3, kind)
    torch.testing.assert_close(found.encoding.summary, member.encoding.summary)
    probabilities = torch.sigmoid if kind == "multi-label" else (lambda logits: logits.softmax(1))
    torch.testing.assert_close(probabilities(found.logits), probabilities(member.logits))


def test_encodings_are_averaged_if_they_are_equally_wide() -> None:
    members = outputs(3, 1)
    mean = torch.stack([member.encoding.summary for member in members]).mean(0)
    torch.testing.assert_close(average_outputs(members, "multi-label").encoding.summary, mean)
    differing = outputs(2, 1, widths=(6, 7))
    assert average_outputs(differing, "multi-label").encoding.summary.shape == (4, 6)
