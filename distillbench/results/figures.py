"""Figures from stored results, as PNG and SVG: learning curves, encodings, cost, and the budget of frames.

Each is laid out for one or two text columns of a page and saved at just that width, so that nothing is scaled in print.
Colours are Okabe and Ito's (2008), which colour-blind readers tell apart; markers and line styles repeat what they say.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distillbench.errors import ConfigError
from distillbench.results import encodings
from distillbench.results.leaderboard import over_seeds
from distillbench.results.report import MODES, OBJECTIVES, Runs, having, records
from distillbench.storage import write_atomically

ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK, BLACK = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#000000",
)
_LOOKS = {
    ("scratch", "uniform"): ("Uniform-k alone", SKY, "o", "-"),
    ("scratch", "random"): ("Random-k alone", GREEN, "v", "-"),
    ("scratch", "first-middle-last"): ("First-Middle-Last-k alone", PINK, "P", "-"),
    ("scratch", "middle"): ("Middle-k alone", YELLOW, "X", "-"),
    ("scratch", "first"): ("First-k alone", "#999999", "<", "-"),
    ("scratch", "last"): ("Last-k alone", "#555555", ">", "-"),
    ("serial", "uniform"): ("serial", RED, "s", "-"),
    ("parallel", "uniform"): ("parallel", BLUE, "D", "--"),
}
_SHADES = {"serial": ("#F5A97F", RED, "#7A2E00"), "parallel": ("#8CC8F0", BLUE, "#003B5C")}
_TEACHER = "teacher, all frames"
INCHES = {1: 3.4, 2: 7.0}
"""The width of a figure by the number of text columns that it spans."""
STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 220,
    "font.size": 8,
    "axes.titlesize": 8.5,
    "figure.titlesize": 8.5,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "distillbench",
}


def draw(subject: str, runs: Runs, folder: Path, columns: int = 2) -> list[Path]:
    """Draws one figure and writes it as PNG and SVG into a folder; returns both paths.

    columns: the text columns of a page that it spans, 1 or 2. Raises `ConfigError` where matplotlib is missing or the
    runs hold nothing to draw.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise ConfigError(["figures need matplotlib; pip install 'distillbench[plot]' brings it"]) from error
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with mpl.rc_context(STYLE):
        figure = FIGURES[subject](runs, plt, columns)
        paths = [folder / f"{subject}-{runs.data}.{suffix}" for suffix in ("png", "svg")]
        for path in paths:
            _save(figure, path)
        plt.close(figure)
    return paths


def _legend(figure: Any, handles: Sequence[Any], columns: int, beneath: int) -> None:
    """Puts a legend beside what spans two text columns, and beneath what spans one, in `beneath` columns."""
    place: dict[str, Any] = {"loc": "outside right center"}
    if columns == 1:
        place = {"loc": "outside lower left", "ncols": beneath}
    figure.legend(handles, [str(handle.get_label()) for handle in handles], **place)


def _save(figure: Any, path: Path) -> None:
    """Writes a figure without the date and the version that would make two files of the same figure differ."""
    kind = path.suffix[1:]
    fixed = {"Software": None} if kind == "png" else {"Date": None}
    write_atomically(path, lambda draft: figure.savefig(draft, format=kind, metadata=fixed))


# ----------------------------------------------------------------------------------------------- Figure 2: learning


def learning_curves(runs: Runs, plt: Any, columns: int) -> Any:
    """Validation GAP after each epoch, one panel an objective: the serial teacher as a line, three curves beside it.

    Panels share both axes. Where a student has several phases, each after the first is shaded and named.
    """
    plain = runs.plain()
    both = plain[plain["schedule"].isin(list(MODES))]
    both = both[both["objective"].isin(list(OBJECTIVES)) & (both["selector"] == "uniform")]
    if both.empty:
        raise ConfigError(["Figure 2 needs runs of serial or parallel; distillbench sweep figure2 asks them"])
    k = max(int(value) for value in both["k"])
    shape, height = ((3, 1), 6.0) if columns == 1 else ((1, 3), 2.7)
    figure, axes = plt.subplots(
        *shape, figsize=(INCHES[columns], height), sharex=True, sharey=True, layout="constrained"
    )
    for letter, axis, (losses, title) in zip("abc", axes, OBJECTIVES.items(), strict=True):
        of = having(both, k=k, objective=losses)
        for mode in MODES:
            rows = [row["result"].content["history"] for row in records(having(of, schedule=mode))]
            if rows:
                _learning_curve(axis, mode, rows)
        axis.set_title(f"({letter}) ${_mathematical(title)}$", loc="left")
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_xlim(left=0)
    for axis in axes[-1:] if columns == 1 else axes:
        axis.set_xlabel("epoch")
    figure.supylabel("GAP@20 on validation videos", fontsize=8)
    handles, labels = max((axis.get_legend_handles_labels() for axis in axes), key=lambda pair: len(pair[1]))
    figure.legend(handles, labels, loc="outside lower center", ncols=2 * columns)
    figure.suptitle(
        f"Learning with and beside the teacher\n{runs.data}, k = {k}; mean and range over seeds",
        x=0.01,
        ha="left",
    )
    return figure


def _learning_curve(axis: Any, mode: str, histories: list[list[Mapping[str, Any]]]) -> None:
    student = _curves(histories, "student")
    looks = {"serial": (RED, "o", "-"), "parallel": (BLUE, "D", "--")}[mode]
    _band(axis, student, f"{mode} student", *looks)
    _mark_phases(axis, histories[0], looks[0], student.shape[1])
    teacher = _curves(histories, "teacher")
    if mode == "serial" and len(teacher):
        axis.axhline(teacher.max(1).mean(), color=BLACK, linestyle=":", label="serial teacher")
    elif len(teacher):
        _band(axis, teacher, "parallel teacher", SKY, "^", "-.")


def _mark_phases(axis: Any, history: list[Mapping[str, Any]], color: str, epochs: int) -> None:
    """Shades and names every phase of the student after its first."""
    names = [str(row["phase"]) for row in history if "student" in row["networks"]][:epochs]
    begins = [epoch for epoch in range(1, len(names)) if names[epoch] != names[epoch - 1]]
    for begin, end in itertools.pairwise([*begins, len(names)]):
        axis.axvspan(begin + 0.5, end + 0.5, color=color, alpha=0.1, linewidth=0, zorder=0)
        axis.axvline(begin + 0.5, color=color, linewidth=0.8, zorder=0)
        axis.text(
            (begin + end) / 2 + 0.5,
            0.03,
            names[begin],
            transform=axis.get_xaxis_transform(),
            rotation=90,
            color=color,
            fontsize=7,
            ha="center",
            va="bottom",
        )


def _curves(histories: Iterable[list[Mapping[str, Any]]], network: str) -> NDArray[np.float64]:
    """Collects a network's validation GAP by seed and epoch, phases joined: (seeds, epochs)."""
    curves = [
        [row["networks"][network]["validation"]["gap"] for row in h if network in row["networks"]] for h in histories
    ]
    shortest = min(map(len, curves), default=0)
    return np.array([curve[:shortest] for curve in curves], dtype=np.float64).reshape(len(curves), shortest)


def _band(axis: Any, curves: NDArray[np.float64], label: str, color: str, marker: str, line: str) -> None:
    if not curves.size:
        return
    epochs = np.arange(1, curves.shape[1] + 1)
    size = 3 if len(epochs) <= 12 else 2
    axis.plot(epochs, curves.mean(0), color=color, marker=marker, markersize=size, linestyle=line, label=label)
    axis.fill_between(epochs, curves.min(0), curves.max(0), color=color, alpha=0.15, linewidth=0)


def _mathematical(title: str) -> str:
    return ",\\ ".join("L_{" + part.removeprefix("L_") + "}" for part in title.split(", "))


# ---------------------------------------------------------------------------------------------- Figure 3: encodings


def joint_embedding(runs: Runs, plt: Any, columns: int) -> Any:
    """One t-SNE of the teacher's and the student's encodings of the same videos: teacher dark, student light."""
    found = encodings.of_best(runs)
    dark = (BLUE, RED, GREEN, "#8F6B00", "#7A2E63")
    light = ("#8CC8F0", "#F5B48A", "#7FD6B8", "#F0D060", "#E3B3D0")
    height = 4.2 if columns == 1 else 4.8
    figure, axis = plt.subplots(figsize=(INCHES[columns], height), layout="constrained")
    handles = []
    for number, name in enumerate(found.names):
        of = found.classes == number
        student, teacher = found.student[of], found.teacher[of]
        for ours, theirs in zip(student, teacher, strict=True):
            axis.plot(*zip(ours, theirs, strict=True), color="#cccccc", linewidth=0.4, zorder=1)
        axis.scatter(*student.T, s=8 * columns, color=light[number], marker="^", zorder=2)
        handles.append(
            axis.scatter(*teacher.T, s=7 * columns, color=dark[number], marker="o", zorder=3, label=f"class {name}")
        )
    axis.set(xticks=[], yticks=[], xlabel="", ylabel="")
    axis.grid(visible=False)
    axis.set_title(f"Encodings of the same videos, joint t-SNE\n{runs.data}, {found.title}", loc="left")
    handles += [
        axis.scatter([], [], s=8 * columns, color=color, marker=marker, label=label)
        for color, marker, label in (("#333333", "o", "teacher (dark)"), ("#bbbbbb", "^", "student (light)"))
    ]
    _legend(figure, handles, columns, beneath=3)
    return figure


# ------------------------------------------------------------------------------------------------- cost and frames


def pareto(runs: Runs, plt: Any, columns: int) -> Any:
    """Quality against multiply-accumulates, a curve a method, and the front that no point beats on both.

    Every point lies at the cost that was counted: where methods cost the same they are told apart by their transparency.
    """
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    rows = over_seeds(of_the_paper(runs.plain()))
    rows = rows[pd.to_numeric(rows["macs"]).notna()].assign(macs=lambda table: pd.to_numeric(table["macs"]))
    figure, axis = plt.subplots(figsize=(INCHES[columns], 4.9 if columns == 1 else 3.9), layout="constrained")
    handles = []
    for look, of in _methods(rows):
        spread = np.nan_to_num(of["gap_sd"].to_numpy(dtype=float))
        axis.errorbar(of["macs"], of["gap"], spread, fmt="none", ecolor=(look.color, 0.35), elinewidth=1)
        handles += axis.plot(
            of["macs"], of["gap"], color=look.color, alpha=0.7, marker=look.marker, markersize=look.size,
            markeredgewidth=0, linestyle=look.line, linewidth=0.8, label=look.title,
        )  # fmt: skip
    front = _front(rows)
    handles += axis.step(
        front["macs"], front["gap"], where="post", color=BLACK, linewidth=1, zorder=1.5, label="Pareto front"
    )
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 4.0)))
    axis.xaxis.set_major_formatter(EngFormatter())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("multiply-accumulates a video")
    axis.set_ylabel("GAP@20 on test videos")
    axis.set_title(f"Quality against cost\n{runs.data}; mean and deviation over seeds", loc="left")
    _legend(figure, handles, columns, beneath=2)
    return figure


@dataclass(frozen=True)
class _Look:
    """How a method is drawn, and what the legend calls it."""

    title: str
    color: str
    marker: str
    line: str
    size: float = 4.5


def _look(schedule: str, selector: str, objective: str, frames: str) -> _Look:
    if frames == "all":
        return _Look(_TEACHER, BLACK, "*", "none", 7)
    title, color, marker, line = _LOOKS.get((schedule, selector), (f"{schedule} {selector}", "#777777", "h", "-"))
    if schedule == "scratch":
        return _Look(title, color, marker, line)
    shades = dict(zip(OBJECTIVES, _SHADES.get(schedule, ()), strict=False))
    return _Look(f"{title} {objective}", shades.get(objective, color), marker, line)


def _methods(rows: pd.DataFrame) -> list[tuple[_Look, pd.DataFrame]]:
    """Splits rows into methods, the one that is best at its most frames first, each in the order of k."""
    found = []
    for _, group in rows.groupby(["schedule", "selector", "objective"], sort=False):
        ordered = group.assign(frames=pd.to_numeric(group["k"], errors="coerce")).sort_values("frames")
        first = records(ordered)[0]
        look = _look(str(first["schedule"]), str(first["selector"]), str(first["objective"]), str(first["k"]))
        found.append((look, ordered))
    return sorted(found, key=lambda pair: float(pair[1]["gap"].iloc[-1]), reverse=True)


def of_the_paper(table: pd.DataFrame) -> pd.DataFrame:
    """Leaves out what the paper's main table does not have, such as intermediate matching."""
    kept: pd.DataFrame = table[table["objective"].isin(["ce", *OBJECTIVES])]
    return kept


def _front(rows: pd.DataFrame) -> pd.DataFrame:
    """Keeps the rows that are better than every cheaper one."""
    ordered = rows.sort_values(["macs", "gap"], ascending=[True, False], kind="stable")
    gaps = pd.to_numeric(ordered["gap"])
    front: pd.DataFrame = ordered[gaps > gaps.cummax().shift(fill_value=-1.0)]
    return front


def frame_budget(runs: Runs, plt: Any, columns: int) -> Any:
    """Quality against k, a curve a method, and at which k each reaches 99 % of the teacher."""
    rows = over_seeds(of_the_paper(runs.plain()))
    teachers = having(rows, schedule="teacher")
    students = rows[rows["k"].astype(str) != "all"]
    if students.empty:
        raise ConfigError(["the curve over frames needs students at several k; distillbench sweep table1 asks them"])
    figure, axis = plt.subplots(figsize=(INCHES[columns], 5.4 if columns == 1 else 3.9), layout="constrained")
    goal = None if teachers.empty else 0.99 * float(teachers.iloc[0]["gap"])
    handles = [_frame_curve(axis, of, look, goal) for look, of in _methods(students)]
    if goal is not None:
        handles.append(axis.axhline(goal / 0.99, color=BLACK, linewidth=1, label=_TEACHER))
        handles.append(axis.axhline(goal, color=BLACK, linewidth=1, linestyle=":", label="99 % of the teacher"))
    axis.set_xlabel("frames the student sees (k)")
    axis.set_ylabel("GAP@20 on test videos")
    axis.set_xticks(sorted({int(k) for k in students["k"]}))
    axis.set_title(f"How many frames are needed\n{runs.data}; mean and deviation over seeds", loc="left")
    _legend(figure, handles, columns, beneath=1)
    return figure


def _frame_curve(axis: Any, rows: pd.DataFrame, look: _Look, goal: float | None) -> Any:
    ks, gaps = rows["frames"].to_numpy(dtype=float), rows["gap"].to_numpy(dtype=float)
    title, needed = look.title, None if goal is None else frames_needed(ks, gaps, goal)
    if goal is not None:
        title += f": 99 % at k = {needed:.0f}" if needed is not None else ": below 99 %"
    spread = np.nan_to_num(rows["gap_sd"].to_numpy(dtype=float))
    (curve,) = axis.plot(
        ks, gaps, color=look.color, marker=look.marker, linestyle=look.line, markersize=look.size, label=title
    )
    axis.fill_between(ks, gaps - spread, gaps + spread, color=look.color, alpha=0.12, linewidth=0)
    if needed is not None:
        axis.plot(needed, goal, marker="|", markersize=10, color=look.color, markeredgewidth=1.5, zorder=5)
    return curve


def frames_needed(ks: NDArray[np.float64], gaps: NDArray[np.float64], goal: float) -> float | None:
    """Finds the least k from which on the curve, straight between its points, is at the goal; None where it ends below."""
    if gaps[-1] < goal:
        return None
    below = np.flatnonzero(gaps < goal)
    if not len(below):
        return float(ks[0])
    last = int(below[-1])
    share = (goal - gaps[last]) / (gaps[last + 1] - gaps[last])
    return float(np.ceil(ks[last] + share * (ks[last + 1] - ks[last]) - 1e-9))


FIGURES: Mapping[str, Callable[[Runs, Any, int], Any]] = {
    "figure2": learning_curves,
    "figure3": joint_embedding,
    "pareto": pareto,
    "budget": frame_budget,
}
