"""The lines of a table are those that rich would print."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distillbench.cli.render.table import Column, _print_lines, _rich_table, _width
from distillbench.cli.render.terminal import TextConsole

CELLS = st.sampled_from(["", "-", "a", "1.5 k", "漢字", "0.5 ± 0.1≈", "[red]", "é"])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.integers(1, 4), st.integers(1, 6), st.booleans())
def test_lines_are_those_that_rich_prints(
    data: st.DataObject, columns: int, rows: int, grouped: bool
) -> None:
    made = [
        Column(
            f"title {number}",
            tuple(data.draw(st.lists(CELLS, min_size=rows, max_size=rows))),
            0,
            data.draw(st.booleans()),
        )
        for number in range(columns)
    ]
    group = "title 0" if grouped else None
    ours, theirs = TextConsole(width=_width(made)), TextConsole(width=_width(made))
    with theirs.capture() as by_rich:
        theirs.print(_rich_table(made, group))
    lines = _captured(lambda: _print_lines(made, group, ours))
    assert lines == by_rich.get()


def _captured(call: Callable[[], None]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        call()
    return out.getvalue()
