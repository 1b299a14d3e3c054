"""Writes down the board of all methods from stored results: a row an arm of zoo_arms.toml.

    python benchmarks/study/zoo_board.py --results results/zoo

Quality and the gain over the best control are those of `distillbench report zoo`; beside them stands the gain over the student
alone that was trained alike: for as many epochs, with the same encoder, head and selector. Writes benchmarks/results/zoo/board.csv;
an arm without a result keeps the row that it has there. Arms whose controls are on the board and not among the results are refused: their gains
would be over others.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path

from distillbench.api import request_run
from distillbench.cli.loading import load_results
from distillbench.interfaces import Cell, Table
from distillbench.registry.discovery import discover
from distillbench.reports.runs import StoredRuns, networks_with
from distillbench.storage import write_text
from distillbench_plugins.reports.zoo import SECTIONS, Zoo
from zoo_trials import HERE, fill, read_arms, settled

OUT = HERE.parent / "results/zoo"
COLUMNS = (
    *("arm", "section", "seeds", "gap"),
    *("over_best", "over_best_low", "over_best_high", "alone", "over_alone", "low", "high"),
    *("macs", "frames", "teacher_epochs", "student_epochs", "improving"),
)
_ALSO_ALONE = (", twice as long", ", the same frames in every epoch")


def keys_of(settings: Mapping[str, Mapping[str, object]], seeds: range) -> dict[str, str]:
    """Returns the name of the arm to which each run's key belongs. settings: of each arm."""
    keys = {}
    for arm, chosen in settings.items():
        named = {name.removeprefix("set."): value for name, value in chosen.items()}
        for seed in seeds:
            keys[request_run(named, seed=seed).spec.key] = arm
    return keys


def alone_of(arm: str, names: set[str]) -> str:
    """Names the student alone that was trained as the arm was."""
    if f"{arm}, alone" in names:
        return f"{arm}, alone"
    return "student alone" + next((end for end in _ALSO_ALONE if arm.endswith(end)), "")


def interval(cell: Cell) -> tuple[str, str]:
    low, _, high = cell.words.strip("[]").partition(", ")
    return low, high


def main() -> None:
    """Reads results and writes the board."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results/zoo"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    usual, board, arms = read_arms(HERE / "zoo_arms.toml")
    fill(arms, given.out / "trials.csv")
    settings = {arm.name: settled({**usual, **board}, arm, arms) for arm in arms}
    arm_of = keys_of(settings, range(given.seeds))
    registry = discover()
    loaded = load_results([given.results], registry)
    runs = StoredRuns(loaded.results, networks_with(registry))
    table = Zoo(k=15).make(runs)
    assert isinstance(table, Table)
    rows = runs.rows
    arms_of_rows = rows["run"].map(arm_of)
    known = {arm: row for arm, row in read(given.out / "board.csv").items() if arm in settings}
    if missing := controls_missing(arms_of_rows.dropna(), known, settings):
        raise SystemExit(f"{given.results} has no result of: {', '.join(missing)}")
    found: dict[str, tuple[object, ...]] = {}
    for (section, method), (quality, gain, between, macs, frames, _) in table.rows:
        own = rows[(rows["method"] == method) & arms_of_rows.notna()]
        if own.empty:
            continue
        arm = arm_of[own["run"].iloc[0]]
        other = alone_of(arm, set(arm_of.values()))
        alone = rows[arms_of_rows == other]
        over = ("", "", "")
        if section != "control" and not alone.empty:
            compared = runs.compare(own, alone, resamples=500)
            over = tuple(f"{value:+.3f}" for value in (compared.value, compared.low, compared.high))
        found[arm] = (
            *(arm, section, own["seed"].nunique(), f"{quality.value:.4f}", gain.words),
            *(*interval(between), other if over[0] else "", *over),
            *(round(1e6 * (macs.value or 0)), frames.value),
            *(round(own[name].mean(), 1) for name in ("teacher_epochs", "student_epochs")),
            int(own["still_improving"].sum()),
        )
    write(given.out / "board.csv", found, known)


def read(path: Path) -> dict[str, Sequence[object]]:
    """Reads the rows of a board, by arm; none where there is no board yet."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row[0]: row for row in csv.reader(file) if row[0] != COLUMNS[0]}


def controls_missing(
    found: Iterable[str],
    known: Mapping[str, Sequence[object]],
    settings: Mapping[str, Mapping[str, object]],
) -> list[str]:
    """Lists the controls on the board with the encoder, head and selector of a found arm that were not found."""
    of = {
        arm: tuple(settings[arm].get(part) for part in ("student", "head", "selector"))
        for arm in settings
    }
    at_hand = set(found)
    compared = {of[arm] for arm in at_hand}
    controls = [arm for arm, row in known.items() if row[1] == "control" and of[arm] in compared]
    return [arm for arm in controls if arm not in at_hand]


def write(
    path: Path, found: Mapping[str, Sequence[object]], known: Mapping[str, Sequence[object]]
) -> None:
    """Writes the board: rows of arms that were found, what is known of others, the best first."""
    # The report tells the section of a method by what most runs have, and a few are no measure.
    own = {arm: (arm, known.get(arm, row)[1], *row[2:]) for arm, row in found.items()}
    joined = [*(known | own).values()]
    joined.sort(key=lambda row: (SECTIONS.index(str(row[1])), -float(str(row[3]))))
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *joined])
    write_text(path, text.getvalue())


if __name__ == "__main__":
    main()
