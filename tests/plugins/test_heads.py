from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from distillbench.config.run_spec import RunSpec
from distillbench.errors import ConfigError
from distillbench.interfaces import Head
from distillbench.training.build import build_network, open_data
from distillbench_plugins.heads.context_gating import ContextGatingHead
from distillbench_plugins.heads.label_query import LabelQuery
from distillbench_plugins.heads.logistic import Logistic
from distillbench_plugins.heads.mlp import MultilayerPerceptron
from distillbench_plugins.heads.moe import MixtureOfExperts

HEADS = [MixtureOfExperts, Logistic, MultilayerPerceptron, ContextGatingHead, LabelQuery]


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


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_may_begin_at_the_base_rates_of_its_classes(kind: type[Head]) -> None:
    rates = torch.tensor([1e-6, 0.001, 0.02, 0.1, 0.3])
    torch.manual_seed(0)
    head = kind(64, 5, base_rates=True).eval()  # type: ignore[call-arg]
    head.start_from(rates)
    logits = head(0.01 * torch.randn(200, 64))
    # Hidden layers and places add to the bias even where the encoding says nothing.
    torch.testing.assert_close(logits.mean(0), rates.logit(), rtol=0.0, atol=0.7)


@pytest.mark.parametrize("kind", [MixtureOfExperts, Logistic])
def test_with_an_encoding_of_zero_a_class_has_its_base_rate_exactly(kind: type[Head]) -> None:
    rates = torch.tensor([1e-6, 0.001, 0.02, 0.1, 0.3])
    head = kind(5, 5, base_rates=True).eval()  # type: ignore[call-arg]
    head.start_from(rates)
    torch.testing.assert_close(head(torch.zeros(1, 5)).sigmoid()[0], rates, rtol=1e-4, atol=0.0)


def test_the_networks_of_a_run_begin_at_the_rates_of_its_training_videos(
    make_spec: Callable[..., RunSpec],
) -> None:
    spec = make_spec("head.base_rates=true", head="logistic")
    splits = open_data(spec)
    videos = len(splits.train)
    rates = (splits.train.labels.dense(torch.arange(videos)).sum(0) + 0.5) / (videos + 1)
    for network in ("teacher", "student"):
        model, _ = build_network(spec, splits, network)
        assert isinstance(model.head, Logistic)
        torch.testing.assert_close(model.head.linear.bias.sigmoid(), rates)


@pytest.mark.parametrize("kind", HEADS)
def test_a_class_that_all_videos_have_leaves_a_head_finite(kind: type[Head]) -> None:
    head = kind(5, 4, base_rates=True).eval()  # type: ignore[call-arg]
    head.start_from(torch.tensor([1e-9, 0.4, 0.9, 1.0]))
    assert head(torch.randn(3, 5)).isfinite().all()


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_that_was_not_asked_keeps_the_bias_that_it_was_drawn_with(kind: type[Head]) -> None:
    head = kind(5, 3)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    head.start_from(torch.tensor([0.1, 0.2, 0.3]))
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


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


@pytest.mark.parametrize(
    ("kind", "knob"),
    [
        (MultilayerPerceptron, "size"),
        (MultilayerPerceptron, "layers"),
        (ContextGatingHead, "mixtures"),
        (LabelQuery, "queries"),
        (LabelQuery, "chunks"),
        (LabelQuery, "size"),
    ],
)
@pytest.mark.parametrize("value", [0, 65_537])
def test_a_width_or_a_count_that_cannot_be_is_refused_by_name(
    kind: type[Head], knob: str, value: int
) -> None:
    with pytest.raises(ConfigError, match=f"{knob}={value}"):
        kind(5, 7, **{knob: value})


def test_a_perceptron_has_the_hidden_layers_it_was_asked_for() -> None:
    head = MultilayerPerceptron(5, 7, size=11, layers=3)
    shapes = [tuple(part.weight.shape) for part in head.layers if isinstance(part, nn.Linear)]
    assert shapes == [(11, 5), (11, 11), (11, 11), (7, 11)]


def test_a_perceptron_learns_what_no_linear_head_can() -> None:
    summary = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    either = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    right = []
    for head in (MultilayerPerceptron(2, 1, size=32, dropout=0.0), Logistic(2, 1, dropout=0.0)):
        adam = torch.optim.Adam(head.parameters(), 0.05)
        for _ in range(150):
            adam.zero_grad()
            binary_cross_entropy_with_logits(head(summary), either).backward()
            adam.step()
        right.append(bool(((head(summary) > 0) == (either > 0)).all()))
    assert right == [True, False]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), scale=st.sampled_from([0.1, 1.0, 5.0]), encoding=st.booleans())
def test_gated_probabilities_agree_with_the_formula_in_float64(
    seed: int, scale: float, encoding: bool
) -> None:
    torch.manual_seed(seed)
    head = ContextGatingHead(5, 7, gate_encoding=encoding).eval()
    summary = scale * torch.randn(3, 5)
    logits = head(summary)
    head, seen = head.double(), summary.double()
    if encoding:
        gate = head.gate.gates[0]
        seen = (seen @ gate.weight.T + gate.bias).sigmoid() * seen
    moe = MixtureOfExperts(5, 7).double()
    moe.load_state_dict({name: head.state_dict()[name] for name in moe.state_dict()})
    p = reference(moe, seen)
    y = (p @ head.class_gates.weight.T + head.class_gates.bias).sigmoid() * p
    torch.testing.assert_close(logits.double(), y.logit(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("classes", [2, 10, 527])
def test_the_gates_of_classes_begin_nearly_open(classes: int) -> None:
    torch.manual_seed(0)
    head = ContextGatingHead(64, classes).eval()
    moe = MixtureOfExperts(64, classes).eval()
    moe.load_state_dict({name: head.state_dict()[name] for name in moe.state_dict()})
    summary = torch.randn(50, 64)
    kept = head(summary).sigmoid() / moe(head.gate(summary)).sigmoid()
    assert kept.min() > 0.75


def test_a_gated_class_can_exclude_another() -> None:
    head = ContextGatingHead(2, 2, gate_encoding=False).eval()
    with torch.no_grad():
        head.gates.weight.zero_()
        head.experts.weight.copy_(torch.eye(2).repeat_interleave(2, 0))
        head.class_gates.weight.copy_(torch.tensor([[0.0, 0.0], [-50.0, 0.0]]))
        head.class_gates.bias.fill_(5.0)
        alone = head(torch.tensor([[-20.0, 20.0]])).sigmoid()[0, 1]
        beside = head(torch.tensor([[20.0, 20.0]])).sigmoid()[0, 1]
    assert alone > 0.5
    assert beside < 1e-6


def test_a_gated_logit_stays_exact_where_its_probability_rounds_to_zero() -> None:
    head = ContextGatingHead(5, 7).eval()
    summary = 100 * torch.randn(20, 5)
    logits = head(summary)
    exact = head.double()(summary.double())
    assert exact.min() < -40
    torch.testing.assert_close(logits.double(), exact, rtol=1e-4, atol=1e-4)


def label_query(head: LabelQuery, summary: Tensor) -> Tensor:
    """The logits class by class, written out."""
    logits = torch.zeros(len(summary), head.classes)
    group = head.readouts.shape[1]
    for video, whole in enumerate(summary):
        filled = torch.zeros(head.chunks * head.chunk_width)
        filled[: len(whole)] = whole
        tokens = filled.split(head.chunk_width)
        for c in range(head.classes):
            query = head.queries[c // group]
            scores = [
                query @ head.keys(token + place) / len(query) ** 0.5
                for token, place in zip(tokens, head.places, strict=True)
            ]
            shares = torch.stack(scores).softmax(0)
            read = sum(
                share * head.values(token) for share, token in zip(shares, tokens, strict=True)
            )
            logits[video, c] = read @ head.readouts[c // group, c % group] + head.bias[c]
    return logits


@settings(max_examples=15, deadline=None)
@given(
    width=st.integers(1, 9),
    classes=st.integers(1, 9),
    queries=st.integers(1, 10),
    chunks=st.integers(1, 5),
)
def test_each_class_reads_what_its_groups_query_gathers(
    width: int, classes: int, queries: int, chunks: int
) -> None:
    head = LabelQuery(width, classes, queries=queries, chunks=chunks, size=6).eval()
    summary = torch.randn(2, width)
    with torch.no_grad():
        torch.testing.assert_close(head(summary), label_query(head, summary), rtol=1e-4, atol=1e-5)


def test_with_as_many_queries_as_classes_each_class_has_its_own() -> None:
    head = LabelQuery(6, 4, queries=100, chunks=3, size=8, dropout=0.0)
    head(torch.randn(2, 6))[:, 2].sum().backward()
    assert head.queries.grad is not None
    assert head.queries.grad.any(1).tolist() == [False, False, True, False]
