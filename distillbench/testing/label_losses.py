"""What a loss on the labels promises."""

from __future__ import annotations

from distillbench.testing import losses, toys
from distillbench.testing.promises import Subject, expect


def reads_the_labels(subject: Subject) -> None:
    """Its requirements name `labels`, and its value depends on them."""
    found = subject.cls.requirements  # type: ignore[attr-defined]
    expect("labels" in found.needs, f"it needs: {', '.join(sorted(found.needs))}")
    loss = subject.build(toys.ON_LABELS)
    values = {float(loss(toys.outputs(6), toys.batch(6, seed)).detach()) for seed in range(4)}
    expect(len(values) > 1, f"{values.pop():.6g} whatever the labels")


GIVEN: tuple[object, ...] = (toys.ON_LABELS,)
"""The positional constructor arguments of a component."""

CHECKS = (*losses.CHECKS, reads_the_labels)
