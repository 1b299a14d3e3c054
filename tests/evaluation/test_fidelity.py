from __future__ import annotations

import pytest
import torch

from distillbench.evaluation.fidelity import Alignment, agreement


def test_a_perfect_imitator_agrees_in_everything() -> None:
    logits = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    same, overlap, kl = agreement(logits, logits).mean(1)
    assert (same, overlap) == (1.0, 1.0)
    assert kl == pytest.approx(0.0, abs=1e-12)


def test_agreement_is_counted_as_defined() -> None:
    teacher = torch.tensor([[3.0, 1.0, -1.0, -3.0]])
    student = torch.tensor([[3.0, -1.0, 1.0, -3.0]])
    same, overlap, kl = agreement(teacher, student)[:, 0]
    p, q = teacher.double().sigmoid(), student.double().sigmoid()
    expected = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum()
    assert (same, overlap) == (1.0, 0.5)  # of four classes the best two are compared
    assert kl == pytest.approx(float(expected))


def test_alignment_by_batches_is_that_of_the_whole_and_ignores_rotation_scale_and_shift() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    rotation, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))
    turned = Alignment()
    for part in x.split(7):
        turned.update(part + 100, 3 * part @ rotation - 5)
    assert turned.compute() == pytest.approx(1.0)

    y = torch.randn(40, 4, generator=generator, dtype=torch.float64)
    other = Alignment()
    for a, b in zip(x.split(9), y.split(9), strict=True):
        other.update(a, b)
    xc, yc = x - x.mean(0), y - y.mean(0)
    expected = (xc.T @ yc).norm() ** 2 / ((xc.T @ xc).norm() * (yc.T @ yc).norm())
    assert other.compute() == pytest.approx(float(expected))


def test_constant_encodings_have_no_alignment() -> None:
    alignment = Alignment()
    alignment.update(torch.ones(4, 3), torch.randn(4, 3))
    assert alignment.compute() is None
