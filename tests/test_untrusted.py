"""What third-party code gives or raises becomes one short line, and ends nothing."""

from __future__ import annotations

import pytest

from distillbench.untrusted import attempted, quoted, reason_of


class Odd(BaseException):
    def __str__(self) -> str:
        raise self

    def __repr__(self) -> str:
        raise self


NAMELESS = type("", (BaseException,), {})


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (ValueError("two\nlines"), "ValueError: two lines"),
        (SystemExit(3), "SystemExit: 3"),
        (GeneratorExit(), "GeneratorExit"),
        (Odd(), "Odd"),
        (NAMELESS(), "an exception without a name"),
        (NAMELESS("no"), "an exception without a name: no"),
    ],
)
def test_whatever_is_raised_is_a_reason(raised: BaseException, reason: str) -> None:
    def fail() -> None:
        raise raised

    assert attempted(fail) == (None, reason)
    assert reason_of(raised) == reason


def test_what_is_returned_comes_without_a_reason() -> None:
    assert attempted(lambda: 7) == (7, "")
    assert attempted(lambda: None) == (None, "")


def test_the_user_can_stop_it() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempted(stop)


def test_a_value_that_cannot_be_written_is_named_by_its_type() -> None:
    assert quoted(Odd()) == "an object of type Odd"
    assert quoted("x" * 200).startswith("'xxx")
    assert len(quoted("x" * 200)) < 120
