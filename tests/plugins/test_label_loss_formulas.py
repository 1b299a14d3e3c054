"""Each loss on the labels agrees with its paper's formula, written in numpy, in value and in gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from plugins.loss_outputs import (
    BATCH,
    COUNTED,
    LABELS,
    STEP,
    WIDTH,
    Array,
    drawn,
    output,
    sigmoid,
)

from distillbench.interfaces import (
    LabelLoss,
)
from distillbench_plugins.losses.asymmetric import Asymmetric
from distillbench_plugins.losses.balanced_ce import BalancedCrossEntropy
from distillbench_plugins.losses.focal import Focal


def focal(s: Array, labels: Array) -> Any:
    p = sigmoid(s)
    has = -0.3 * (1 - p) ** 1.5 * np.log(p)
    lacks = -0.7 * p**1.5 * np.log(1 - p)
    return (labels * has + (1 - labels) * lacks).sum() / len(s)


def asymmetric(s: Array, labels: Array) -> Any:
    p = sigmoid(s)
    shifted = np.where(p.real > 0.2, p - 0.2, 0)
    has = -((1 - p) ** 1.0) * np.log(p)
    return (labels * has - (1 - labels) * shifted**3.0 * np.log(1 - shifted)).sum() / len(s)


def balanced(s: Array, labels: Array) -> Any:
    raw = np.array([(1 - 0.9) / (1 - 0.9**n) for n in (7, 3, 1, 1)])
    p = sigmoid(s)
    each = -labels * np.log(p) - (1 - labels) * np.log(1 - p)
    return (each * raw * 4 / raw.sum()).sum() / len(s)


ON_LABELS: dict[str, tuple[LabelLoss, Callable[[Array, Array], Any]]] = {
    "focal": (Focal(COUNTED, gamma=1.5, alpha=0.3), focal),
    "asymmetric": (
        Asymmetric(COUNTED, gamma_has=1.0, gamma_lacks=3.0, margin=0.2),
        asymmetric,
    ),
    "balanced-ce": (BalancedCrossEntropy(COUNTED, beta=0.9), balanced),
}


@pytest.mark.parametrize("name", ON_LABELS)
def test_losses_on_labels_are_the_papers(name: str) -> None:
    loss, formula = ON_LABELS[name]
    ours = drawn("logits", 3, False, WIDTH)
    values = torch.from_numpy(ours).requires_grad_()
    value = loss(output("logits", values, False), BATCH)
    value.backward()
    assert values.grad is not None
    np.testing.assert_allclose(value.item(), formula(ours, LABELS).real, rtol=1e-9)
    for way in range(3):
        along = np.random.default_rng(100 + way).standard_normal(ours.shape)
        slope = formula(ours + 1j * STEP * along, LABELS).imag / STEP
        found = (values.grad.numpy() * along).sum()
        np.testing.assert_allclose(found, slope, rtol=1e-9, atol=1e-9 * abs(values.grad).max())
