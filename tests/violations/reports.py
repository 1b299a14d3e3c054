"""An correct report, and for each promise one that breaks it alone."""

from __future__ import annotations

import itertools
import math

from violations.violating import violating

from distillbench.interfaces import Cell, Figure, Report, Table
from distillbench.reports import INCHES, having, plain_words, records


def build(self) -> None:
    pass


def listed(self, runs):
    if runs.rows.empty:
        raise self.lacking("the list needs runs")
    return runs.over_seeds(runs.rows)


def make(self, runs) -> Table:
    rows = tuple(
        ((str(row["method"]), str(row["k"])), (Cell(float(row["gap"]), seeds=int(row["seeds"])),))
        for row in records(listed(self, runs))
    )
    return Table("A list", ("method", "k"), (("", "GAP@20"),), rows)


def drawing(self, runs, title=plain_words, width=INCHES, shift=lambda: 0.0) -> Figure:
    rows = listed(self, runs)

    def draw(plt, columns):
        figure, axis = plt.subplots(figsize=(width[columns], 2))
        axis.plot(rows["gap"].to_numpy() + shift())
        axis.set_title(title(runs.data))
        return figure

    return Figure(draw)


PARTS = {"__init__": build, "make": make, "needs": "list"}
DRAWN = {**PARTS, "make": drawing}
CORRECT = violating(Report, PARTS)
CORRECT_FIGURE = violating(Report, DRAWN)


def makes_text(self, runs):
    listed(self, runs)
    return "a list"


def lacks_a_cell(self, runs):
    made = make(self, runs)
    return Table(made.title, made.heads, (*made.columns, ("", "mAP@20")), made.rows)


def has_a_number_that_is_none(self, runs):
    made = make(self, runs)
    return Table(made.title, made.heads, made.columns, ((("a", "6"), (Cell(math.nan),)),))


def counts_its_calls(self, runs):
    self.asked = getattr(self, "asked", 0) + 1
    made = make(self, runs)
    return Table(f"List {self.asked}", made.heads, made.columns, made.rows)


def draws_another_each_time(self, runs):
    shifts = itertools.count()
    return drawing(self, runs, shift=lambda: 0.01 * next(shifts))


def draws_as_wide_as_it_likes(self, runs):
    return drawing(self, runs, width={1: 4, 2: 4})


def renames_the_data(self, runs):
    made = make(self, runs)
    runs.data = "mine"
    return made


def makes_something_of_nothing(self, runs):
    return (
        Table("A list", ("method", "k"), (("", "GAP@20"),), ())
        if runs.rows.empty
        else make(self, runs)
    )


def does_not_say_what_it_needs(self, runs):
    if runs.rows.empty:
        from distillbench.errors import ConfigError

        raise ConfigError(["there is nothing"])
    return make(self, runs)


def stumbles_over_a_strange_run(self, runs):
    if len(having(runs.rows, k=7)):
        raise KeyError("k")
    return make(self, runs)


def sets_names_as_mathematics(self, runs):
    return drawing(self, runs, title=str)


VIOLATIONS = [
    ("makes_a_table_or_a_figure", violating(Report, PARTS, make=makes_text)),
    ("its_tables_are_whole", violating(Report, PARTS, make=lacks_a_cell)),
    ("its_tables_are_whole", violating(Report, PARTS, make=has_a_number_that_is_none)),
    ("is_pure", violating(Report, PARTS, make=counts_its_calls)),
    ("its_figures_are_drawn_alike", violating(Report, DRAWN, make=draws_another_each_time)),
    ("its_figures_are_drawn_alike", violating(Report, DRAWN, make=draws_as_wide_as_it_likes)),
    ("leaves_the_runs_alone", violating(Report, PARTS, make=renames_the_data)),
    ("refuses_runs_that_are_unfit", violating(Report, PARTS, make=makes_something_of_nothing)),
    ("refuses_runs_that_are_unfit", violating(Report, PARTS, make=does_not_say_what_it_needs)),
    ("refuses_runs_that_are_unfit", violating(Report, PARTS, make=stumbles_over_a_strange_run)),
    ("copes_with_any_name", violating(Report, DRAWN, make=sets_names_as_mathematics)),
]
