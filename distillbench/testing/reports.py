"""What a report promises."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence

from distillbench.errors import ConfigError, DistillbenchError
from distillbench.interfaces import Figure, Runs, Table
from distillbench.registry.vetting import wrong_report
from distillbench.reports.figure import INCHES, drawn
from distillbench.reports.rows import records
from distillbench.testing import toy_runs
from distillbench.testing.promises import Subject, Unchecked, Unclaimed, expect
from distillbench.untrusted import quoted

_DPI = 40  # as coarse as tells two figures apart


def makes_a_table_or_a_figure(subject: Subject) -> None:
    """It makes a table or a figure of runs that it is fit for.

    Those of its `check_rows`, or any.
    """
    made = _made(subject, _fit(subject))
    expect(
        isinstance(made, (Table, Figure)),
        f"{quoted(made)}; a Table or a Figure of distillbench.interfaces was expected",
    )


def its_tables_are_whole(subject: Subject) -> None:
    """Every row of a table has a word a head and a cell a column, all finite numbers or words."""
    made = _made(subject, _fit(subject))
    if not isinstance(made, Table):
        raise Unclaimed("it makes no table")
    wrong = wrong_report(made)
    expect(not wrong, wrong)


def is_pure(subject: Subject) -> None:
    """The same runs give the same table, whatever was made before."""
    report, runs = subject.build(), _fit(subject)
    first, again = report.make(runs), report.make(runs)
    if not isinstance(first, Table):
        raise Unclaimed("it makes no table")
    expect(first == again, f"another table when made again: {_difference(first, again)}")


def its_figures_are_drawn_alike(subject: Subject) -> None:
    """A figure is as wide as its text columns, and two drawings are equal to the last byte."""
    report, runs = subject.build(), _fit(subject)
    first, again = report.make(runs), report.make(runs)
    if not isinstance(first, Figure):
        raise Unclaimed("it makes no figure")
    for columns, inches in INCHES.items():
        width = _size_of(first, columns)
        expect(
            abs(width - inches) < 0.01,
            f"{width:.2f} inches for {columns} of a page's columns; {inches} were expected",
        )
    expect(_drawing(first) == _drawing(again), "two drawings that differ")


def leaves_the_runs_alone(subject: Subject) -> None:
    """Making it changes nothing of the runs that it is made of."""
    runs = _fit(subject)
    before = _seen(runs)
    _made(subject, runs)
    after = _seen(runs)
    changed = [name for name in before if before[name] != after[name]]
    expect(not changed, f"other {', '.join(changed)} once it was made")


def refuses_runs_that_are_unfit(subject: Subject) -> None:
    """Of no runs, and of those of a method that it is not about, it raises `ConfigError`.

    The error names the sweep file that the report `needs`. Of a method that it does not know it may
    also make something; of no runs it cannot.
    """
    needs = str(getattr(subject.cls, "needs", ""))
    for runs, what in (
        (toy_runs.no_runs(), "no runs"),
        (_runs(toy_runs.NOBODY), "one strange run"),
    ):
        try:
            made = subject.build().make(runs)
        except ConfigError as refused:
            words = f"sweep {needs} "
            expect(
                not needs or words in f"{refused} ", f"of {what}: {refused}; no '{words.strip()}'"
            )
            continue
        except Exception as error:
            raise type(error)(f"of {what}: {error}") from error
        expect(what != "no runs", f"{quoted(made)} of {what}; a ConfigError was expected")


def copes_with_any_name(subject: Subject) -> None:
    """Names that are mathematics, markup or in no font are words, in tables and in figures."""
    rows = [
        {"schedule": toy_runs.STRANGE, "selector": toy_runs.STRANGE, **row}
        for row in _rows(subject)
    ]
    if not subject.cls.check_rows:  # type: ignore[attr-defined]
        rows = [{**row, "schedule": f"{toy_runs.STRANGE} {row['schedule']}"} for row in rows]
    try:
        made = subject.build().make(toy_runs.runs(rows, toy_runs.STRANGE))
    except DistillbenchError as error:
        raise Unclaimed(f"it refuses them: {error}") from error
    if not isinstance(made, Figure):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a character without a shape
        for columns in INCHES:
            _drawing(made, columns)


def _rows(subject: Subject) -> Sequence[Mapping[str, object]]:
    rows: Sequence[Mapping[str, object]] = subject.cls.check_rows  # type: ignore[attr-defined]
    return rows or toy_runs.ANY


def _runs(rows: Sequence[Mapping[str, object]]) -> Runs:
    return toy_runs.runs(rows)


def _fit(subject: Subject) -> Runs:
    return _runs(_rows(subject))


def _made(subject: Subject, runs: Runs) -> object:
    made: object = subject.build().make(runs)
    return made


def _difference(first: Table, again: object) -> str:
    if not isinstance(again, Table):
        return quoted(again)
    changed = [name for name in vars(first) if getattr(first, name) != getattr(again, name)]
    return ", ".join(changed)


def _seen(runs: Runs) -> dict[str, object]:
    rows = [{name: str(value) for name, value in row.items()} for row in records(runs.rows)]
    return {
        "data": runs.data,
        "metrics": dict(runs.metrics),
        "methods": list(runs.methods),
        "rows": rows,
        "stored": [str(runs.stored(row["run"])) for row in rows],
    }


def _size_of(figure: Figure, columns: int) -> float:
    _needs_matplotlib()
    with drawn(figure, columns) as made:
        return float(made.get_figwidth())


def _drawing(figure: Figure, columns: int = 1) -> bytes:
    _needs_matplotlib()
    written = io.BytesIO()
    with drawn(figure, columns) as made:
        made.savefig(written, format="png", dpi=_DPI, metadata={"Software": None})
    return written.getvalue()


def _needs_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise Unchecked("figures are drawn with matplotlib; install distillbench[plot]") from error


GIVEN: tuple[object, ...] = ()
"""The positional constructor arguments of a component."""

CHECKS = (
    makes_a_table_or_a_figure,
    its_tables_are_whole,
    is_pure,
    its_figures_are_drawn_alike,
    leaves_the_runs_alone,
    refuses_runs_that_are_unfit,
    copes_with_any_name,
)
