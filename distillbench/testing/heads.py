"""What a head promises."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from distillbench.interfaces import Head
from distillbench.testing import modules, toys
from distillbench.testing.promises import Subject, expect, seeded

VIDEOS = 6


def _head(subject: Subject, seed: int = 0) -> Head:
    head: Head = subject.build(toys.STUDENT.summary, toys.CLASSES, seed=seed)
    return head.eval()


def _summaries(scale: float = 1.0, seed: int = 0) -> Tensor:
    return toys.outputs(VIDEOS, seed=seed, scale=scale).encoding.summary


def _logits(head: nn.Module, summary: Tensor) -> Tensor:
    with seeded(1), torch.no_grad():
        logits: Tensor = head(summary)
    return logits


def a_logit_for_each_class(subject: Subject) -> None:
    """It returns one logit a class for each summary."""
    head = _head(subject)
    for videos in (VIDEOS, 1):
        shape = tuple(_logits(head, _summaries()[:videos]).shape)
        expect(
            shape == (videos, toys.CLASSES),
            f"{shape} for {videos} summaries and {toys.CLASSES} classes",
        )


def clips_do_not_see_each_other(subject: Subject) -> None:
    """A summary's logits are the same alone as in a batch."""
    head = _head(subject)
    together = _logits(head, _summaries())
    for place in range(VIDEOS):
        alone = _logits(head, _summaries()[place : place + 1]).reshape(-1)
        modules.same(alone, together[place], f"summary {place} alone and in a batch")


def logits_are_finite_for_large_inputs(subject: Subject) -> None:
    """Logits and gradients are finite for summaries a thousand times as large as usual."""
    head = _head(subject)
    summary = _summaries(scale=1_000.0).requires_grad_()
    logits = head(summary)
    expect(
        logits.isfinite().all(),
        f"{int((~logits.isfinite()).sum())} of {logits.numel()} logits are not finite",
    )
    logits.sum().backward()
    assert summary.grad is not None
    expect(summary.grad.isfinite().all(), "gradients that are not finite")


def probabilities_agree_with_float64(subject: Subject) -> None:
    """The probabilities p and 1 - p agree with float64 to a relative error of 0.001."""
    head, summary = _head(subject), _summaries(scale=5.0)
    ours, exact = (
        _logits(head, summary).double(),
        _logits(copy.deepcopy(head).double(), summary.double()),
    )
    for sign, name in ((1.0, "p"), (-1.0, "1 - p")):
        apart = ((sign * ours).sigmoid() / (sign * exact).sigmoid() - 1).abs().max()
        expect(apart < 1e-3, f"{name} is off by {float(apart):.2g} of itself")


def may_start_from_base_rates(subject: Subject) -> None:
    """Told how frequent classes are, however rare or common, it has finite logits and weights.

    The rates stay as they were given.
    """
    head = _head(subject)
    for rate in (1e-7, 0.5, 1 - 1e-7):
        rates = torch.full((toys.CLASSES,), rate)
        given = rates.clone()
        head.start_from(rates)
        expect(torch.equal(rates, given), "it changed the rates that it was given")
        finite = all(weight.isfinite().all() for weight in head.state_dict().values())
        expect(finite, f"weights that are not finite, from rates of {rate:g}")
        logits = _logits(head, _summaries())
        expect(logits.isfinite().all(), f"logits that are not finite, from rates of {rate:g}")


def evaluation_is_deterministic(subject: Subject) -> None:
    """In evaluation the same summary has the same logits, whatever the random state."""
    modules.repeats(_head(subject), lambda head: head(_summaries()))


def every_weight_gets_a_gradient(subject: Subject) -> None:
    """Every weight gets a gradient that is finite and not zero."""
    with seeded(0):
        head = _head(subject).train()
        logits = head(_summaries())
        modules.all_weights_learn(
            head, (logits * modules.draw(1, logits)).sum() + logits.square().mean()
        )


def can_be_copied(subject: Subject) -> None:
    """A head that takes another's weights gives its logits, and stays apart from it.

    Moving one leaves the other where it was.
    """
    first, second = _head(subject, seed=1), _head(subject, seed=2)
    second.load_state_dict(first.state_dict())
    before = _logits(first, _summaries())
    modules.same(_logits(second, _summaries()), before, "the copy's logits", 1e-6)
    with torch.no_grad():
        for weight in second.parameters():
            weight.add_(1.0)
    modules.same(
        _logits(first, _summaries()), before, "the first's logits after the copy was moved", 1e-6
    )


def can_be_tied(subject: Subject) -> None:
    """Used by two networks in one step, it serves each and gathers both gradients."""
    head = _head(subject)
    summaries = [_summaries(seed=seed) for seed in (0, 1)]
    apart = [_gradients(head, [summary]) for summary in summaries]
    for name, gradient in _gradients(head, summaries).items():
        modules.same(
            gradient, apart[0][name] + apart[1][name], f"{name}: the gradient of both and of each"
        )


def _gradients(head: Head, summaries: list[Tensor]) -> dict[str, Tensor]:
    head.zero_grad(set_to_none=True)
    logits = [head(summary) for summary in summaries]
    torch.stack([(each * modules.draw(1, each)).sum() for each in logits]).sum().backward()  # type: ignore[no-untyped-call]
    return {name: w.grad.clone() for name, w in head.named_parameters() if w.grad is not None}


def is_unchanged_when_frozen(subject: Subject) -> None:
    """Frozen and in evaluation mode neither its weights nor its buffers move."""
    modules.is_unchanged(_head(subject), lambda head: head(_summaries()))


GIVEN: tuple[object, ...] = (toys.STUDENT.summary, toys.CLASSES)
"""The positional constructor arguments of a component."""

CHECKS = (
    a_logit_for_each_class,
    clips_do_not_see_each_other,
    logits_are_finite_for_large_inputs,
    probabilities_agree_with_float64,
    may_start_from_base_rates,
    evaluation_is_deterministic,
    every_weight_gets_a_gradient,
    can_be_copied,
    can_be_tied,
    is_unchanged_when_frozen,
)
