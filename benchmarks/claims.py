"""Which of the paper's claims hold in stored results? `python benchmarks/claims.py RESULTS [--out CSV]`.

Every line is one comparison that a claim makes, at one k: GAP@20 of the one method minus the other's, paired by video
and by seed, with its 95 % interval. What has not been run is left out, and named.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from distillbench.errors import ConfigError
from distillbench.results.comparison import Side, compare, matching
from distillbench.results.leaderboard import load
from distillbench.results.record import Result

WHOLE = ["train_videos=3000", "precision=fp32"]
ALONE = ["schedule=scratch", "loss.ce.label_smoothing=0", "schedule.epochs_factor=1"]
FIXED = ["selector=uniform", "train_selector=uniform"]
OBJECTIVES = ("rep", "rep,ce", "rep,ce,pred")
MODES = ("serial", "parallel")


@dataclass(frozen=True)
class Question:
    """A claim, what is compared, and the conditions that either side meets."""

    claim: str
    a: str
    b: str
    where_a: list[str]
    where_b: list[str]


def alone(selector: str = "uniform") -> list[str]:
    """The student alone, trained and tested on the same kind of frames."""
    return [*ALONE, f"selector={selector}", f"train_selector={selector}"]


def distilled(mode: str, objective: str) -> list[str]:
    """A distilled student on uniform frames, with a teacher that is no control."""
    plain = ["schedule.targets=own", "schedule.teacher=trained"] if mode == "serial" else []
    return [f"schedule={mode}", f"loss={objective}", *FIXED, *plain]


def questions() -> Iterator[Question]:
    """Lists the comparisons, claim by claim."""
    for selector in ("random", "first", "middle", "last", "first-middle-last"):
        yield Question("1 uniform frames are the best", "uniform-k", f"{selector}-k", alone(), alone(selector))
    for mode in MODES:
        for objective in OBJECTIVES:
            name = f"{mode} {objective}"
            yield Question("2 distilled beats alone", name, "uniform-k alone", distilled(mode, objective), alone())
    for mode in MODES:
        for fewer in OBJECTIVES[:2]:
            best = distilled(mode, OBJECTIVES[2])
            yield Question(
                "3 three losses are the best",
                f"{mode} {OBJECTIVES[2]}",
                f"{mode} {fewer}",
                best,
                distilled(mode, fewer),
            )
    for objective in OBJECTIVES:
        serial, parallel = (distilled(mode, objective) for mode in MODES)
        yield Question("4 serial is at least as good", f"serial {objective}", f"parallel {objective}", serial, parallel)
    for mode in MODES:
        for objective in OBJECTIVES:
            inner = objective.replace("rep", "rep-intermediate", 1)
            yield Question(
                "5 intermediate matching adds nothing",
                f"{mode} {inner}",
                f"{mode} {objective}",
                distilled(mode, inner),
                distilled(mode, objective),
            )
    teacher = ["schedule=teacher"]
    yield Question(
        "7 few frames come close", "serial rep,ce,pred", "teacher", distilled("serial", OBJECTIVES[2]), teacher
    )
    yield Question("7 few frames come close", "uniform-k alone", "teacher", alone(), teacher)


def by_frames(results: tuple[Result, ...]) -> Iterator[dict[str, object]]:
    """Compares at every k, on all training videos."""
    frames = sorted({int(r.content["setup"]["k"]) for r in results if "k" in r.content["setup"]})
    for question in questions():
        for k in frames:
            at_k = [f"k={k}"]
            where_b = question.where_b if question.b == "teacher" else [*question.where_b, *at_k]
            yield from answered(question, {"k": k}, results, [*question.where_a, *at_k, *WHOLE], [*where_b, *WHOLE])


def by_fraction(results: tuple[Result, ...]) -> Iterator[dict[str, object]]:
    """Compares on parts of the training data, at the k for which there are some."""
    sizes = sorted({int(r.content["data"]["videos"]["train"]) for r in results})
    question = Question(
        "6 more so with less data",
        "serial rep,ce,pred",
        "uniform-k alone",
        distilled("serial", OBJECTIVES[2]),
        alone(),
    )
    for size in sizes:
        same = ["k=30", f"train_videos={size}", "precision=fp32"]
        about = {"k": 30, "train videos": size}
        yield from answered(question, about, results, [*question.where_a, *same], [*question.where_b, *same])


def answered(
    question: Question, about: dict[str, object], results: tuple[Result, ...], where_a: list[str], where_b: list[str]
) -> Iterator[dict[str, object]]:
    """Yields a line, or none where a side has not been run."""
    try:
        a, b = matching(results, where_a, "a"), matching(results, where_b, "b")
    except ConfigError as error:
        if "none of" not in str(error):
            raise
        print(f"not run: {question.claim}: {question.a} against {question.b}, {about}")
        return
    found = compare(a, b).differences["gap"]
    yield {
        "claim": question.claim,
        "a": question.a,
        "b": question.b,
        "k": about["k"],
        "train videos": about.get("train videos", 3000),
        "seeds": common(a, b),
        "difference": f"{found.value:+.4f}",
        "low": f"{found.low:+.4f}",
        "high": f"{found.high:+.4f}",
        "p": f"{found.p:.3g}",
    }


def common(a: Side, b: Side) -> int:
    """Counts the seeds that both sides have."""
    return len(set(a.by_seed) & set(b.by_seed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = load([arguments.results]).results
    rows = sorted([*by_frames(results), *by_fraction(results)], key=lambda row: str(row["claim"]))
    widths = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in rows[0]}
    for line in ({key: key for key in widths}, *rows):
        print("  ".join(f"{line[key]!s:<{widths[key]}}" for key in widths).rstrip())
    if arguments.out:
        with arguments.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(widths))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
