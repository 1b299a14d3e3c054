"""What an exit policy promises."""

from __future__ import annotations

import torch
from torch import Tensor

from distillbench.interfaces import ExitPolicy
from distillbench.testing import toys
from distillbench.testing.promises import Subject, expect, seeded

VIDEOS, EXITS = 12, 3


def _logits(seed: int = 0, scale: float = 3.0) -> list[Tensor]:
    made = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(VIDEOS, toys.CLASSES, generator=made) for _ in range(EXITS)]


def _tuned(subject: Subject, seed: int = 0) -> ExitPolicy:
    policy: ExitPolicy = subject.build(seed=seed)
    policy.tune(_logits(), toys.labels(VIDEOS), [2, 4, 6])
    return policy


def decides_for_every_video(subject: Subject) -> None:
    """It decides for every video at every exit, (B,) bool, before it was tuned and after."""
    for policy in (subject.build(), _tuned(subject)):
        for count in range(1, EXITS + 1):
            stops = policy.stop(_logits()[:count])
            expect(
                stops.shape == (VIDEOS,) and stops.dtype == torch.bool,
                f"{stops.dtype} {tuple(stops.shape)}",
            )


def decides_for_each_video_alone(subject: Subject) -> None:
    """Whether a video stops depends on its own logits alone, and on no chance."""
    policy, logits = _tuned(subject), _logits(1)
    for count in range(1, EXITS + 1):
        together = policy.stop(logits[:count])
        with seeded(9):
            alone = torch.cat(
                [policy.stop([part[v : v + 1] for part in logits[:count]]) for v in range(VIDEOS)]
            )
        expect(
            torch.equal(together, alone),
            f"exit {count}: {together.tolist()} in a batch, {alone.tolist()} alone",
        )


def its_tuning_is_stored(subject: Subject) -> None:
    """What it was tuned to is in its state: another one with its state decides the same."""
    first = _tuned(subject)
    second: ExitPolicy = subject.build(seed=3)
    second.load_state_dict(first.state_dict())
    for seed in range(8):
        for count in range(1, EXITS + 1):
            logits = _logits(seed, scale=0.5 + seed)[:count]
            same = torch.equal(first.stop(logits), second.stop(logits))
            expect(same, "it decides otherwise from its stored state")


def leaves_logits_as_they_were(subject: Subject) -> None:
    """It changes nothing of the logits and labels that it is given."""
    logits, labels = _logits(), toys.labels(VIDEOS)
    policy: ExitPolicy = subject.build()
    policy.tune(logits, labels, [2, 4, 6])
    policy.stop(logits)
    same = all(torch.equal(*pair) for pair in zip(logits, _logits(), strict=True))
    expect(same and torch.equal(labels, toys.labels(VIDEOS)), "other logits or labels than before")


GIVEN: tuple[object, ...] = ()
"""The positional constructor arguments of a component."""

CHECKS = (
    decides_for_every_video,
    decides_for_each_video_alone,
    its_tuning_is_stored,
    leaves_logits_as_they_were,
)
