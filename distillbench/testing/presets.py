"""What a preset promises."""

from __future__ import annotations

from distillbench.testing.promises import Subject, expect
from distillbench.testing.settings import problems_of

COUNTS = (1, 5, 6, 15, 300)


def its_settings_are_understood(subject: Subject) -> None:
    """It sets settings that runs have, to values of the right type, for every k."""
    for k in COUNTS:
        settings = subject.build().settings(k)
        expect(settings, f"no settings for k = {k}")
        wrong = problems_of(settings, "preset")
        expect(not wrong, f"k = {k}: {'; '.join(wrong)}")


def is_pure(subject: Subject) -> None:
    """The same k gives the same settings, whatever was requested before."""
    preset = subject.build()
    first = dict(preset.settings(15))
    preset.settings(6)
    again = dict(preset.settings(15))
    expect(
        first == again,
        f"other settings at the second call: {sorted(set(first.items()) ^ set(again.items()))[:3]}",
    )


GIVEN: tuple[object, ...] = ()
"""The positional constructor arguments of a component."""

CHECKS = (its_settings_are_understood, is_pure)
