"""What losses refuse, and what they project."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from plugins.loss_outputs import (
    CLASSES,
    CONTEXT,
    COUNTED,
    SHAPES,
    WIDER,
    WIDTH,
)

from distillbench.errors import ConfigError, NotApplicableError
from distillbench.interfaces import (
    LossContext,
    MatchingLoss,
    Shapes,
)
from distillbench_plugins.losses.ab import ActivationBoundary
from distillbench_plugins.losses.asymmetric import Asymmetric
from distillbench_plugins.losses.at import AttentionTransfer
from distillbench_plugins.losses.balanced_ce import BalancedCrossEntropy
from distillbench_plugins.losses.cc import CorrelationCongruence
from distillbench_plugins.losses.cosine import Cosine
from distillbench_plugins.losses.dist import RelationMatch
from distillbench_plugins.losses.focal import Focal
from distillbench_plugins.losses.hint import Hint
from distillbench_plugins.losses.jsd import JensenShannon
from distillbench_plugins.losses.kd import KnowledgeDistillation
from distillbench_plugins.losses.kd_standardized import StandardizedDistillation
from distillbench_plugins.losses.nst import NeuronSelectivity
from distillbench_plugins.losses.pred import Prediction
from distillbench_plugins.losses.psm import PartialSoftmax
from distillbench_plugins.losses.rep_intermediate import IntermediateRepresentation
from distillbench_plugins.losses.review import Review
from distillbench_plugins.losses.soft_bce import SoftLabels
from distillbench_plugins.losses.vid import VariationalInformation


@pytest.mark.parametrize("cls", [Hint, Cosine, ActivationBoundary])
def test_a_narrower_student_is_projected(cls: type[MatchingLoss]) -> None:
    same, wider = cls(CONTEXT), cls(WIDER)
    assert list(same.parameters()) == []
    assert [tuple(p.shape) for p in wider.parameters()] == [(WIDTH + 3, WIDTH), (WIDTH + 3,)]


@pytest.mark.parametrize("cls", [AttentionTransfer, NeuronSelectivity])
def test_states_need_a_layer_that_both_have(cls: type[MatchingLoss]) -> None:
    without = LossContext(SHAPES, Shapes(WIDTH, {"other": WIDTH}, CLASSES), 40)
    with pytest.raises(NotApplicableError, match="the student has layer, the teacher other"):
        cls(without)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: KnowledgeDistillation(CONTEXT, temperature=0.0), "temperature=0.0"),
        (lambda: StandardizedDistillation(CONTEXT, temperature=-1.0), "temperature=-1.0"),
        (lambda: RelationMatch(CONTEXT, temperature=float("nan")), "temperature=nan"),
        (lambda: Prediction(CONTEXT, temperature=0.0), "temperature=0.0"),
        (lambda: SoftLabels(CONTEXT, teacher_share=1.5), "teacher_share=1.5"),
        (lambda: CorrelationCongruence(CONTEXT, gamma=0.0), "gamma=0.0"),
        (lambda: CorrelationCongruence(CONTEXT, order=0), "order=0"),
        (lambda: VariationalInformation(CONTEXT, variance=0.0), "variance=0.0"),
        (lambda: ActivationBoundary(CONTEXT, margin=0.0), "margin=0.0"),
        (lambda: AttentionTransfer(CONTEXT, power=0.0), "power=0.0"),
        (lambda: PartialSoftmax(CONTEXT, temperature=0.0), "temperature=0.0"),
        (lambda: JensenShannon(CONTEXT, temperature=0.0), "temperature=0.0"),
        (lambda: Review(CONTEXT, width=0), "width=0"),
        (lambda: IntermediateRepresentation(CONTEXT, gamma=0.0), "gamma=0.0"),
        (lambda: Focal(COUNTED, gamma=-1.0), "gamma=-1.0"),
        (lambda: Focal(COUNTED, alpha=1.5), "alpha=1.5"),
        (lambda: Asymmetric(COUNTED, gamma_lacks=-1.0), "gamma_lacks=-1.0"),
        (lambda: Asymmetric(COUNTED, margin=1.0), "margin=1.0"),
        (lambda: BalancedCrossEntropy(COUNTED, beta=1.0), "beta=1.0"),
    ],
)
def test_knobs_out_of_range_are_refused(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        make()
