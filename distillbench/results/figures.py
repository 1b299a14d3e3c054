"""Figures from stored results, as PNG and SVG: learning curves, encodings, cost, and the budget of frames.

Colours are Okabe and Ito's (2008), which colour-blind readers tell apart; markers and line styles repeat what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
_TEACHER = "teacher, all frames"
_STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "distillbench",
}


def draw(subject: str, runs: Runs, folder: Path) -> list[Path]:
    """Draws one figure and writes it as PNG and SVG into a folder; returns both paths.

    Raises `ConfigError` where matplotlib is missing or the runs hold nothing to draw.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise ConfigError(["figures need matplotlib; pip install 'distillbench[plot]' brings it"]) from error
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with mpl.rc_context(_STYLE):
        figure = FIGURES[subject](runs, plt)
        paths = [folder / f"{subject}-{runs.data}.{suffix}" for suffix in ("png", "svg")]
        for path in paths:
            _save(figure, path)
        plt.close(figure)
    return paths


def _save(figure: Any, path: Path) -> None:
    """Writes a figure without the date and the version that would make two files of the same figure differ."""
    kind = path.suffix[1:]
    fixed = {"Software": None} if kind == "png" else {"Date": None}
    write_atomically(path, lambda draft: figure.savefig(draft, format=kind, metadata=fixed, bbox_inches="tight"))


# ----------------------------------------------------------------------------------------------- Figure 2: learning


def learning_curves(runs: Runs, plt: Any) -> Any:
    """Validation GAP after each epoch, one panel an objective: the serial teacher as a line, three curves beside it."""
    plain = runs.plain()
    both = plain[plain["schedule"].isin(list(MODES))]
    both = both[both["objective"].isin(list(OBJECTIVES)) & (both["selector"] == "uniform")]
    if both.empty:
        raise ConfigError(["Figure 2 needs runs of serial or parallel; benchmarks/paper/figure2.toml asks them"])
    k = max(int(value) for value in both["k"])
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
    for letter, axis, (losses, title) in zip("abc", axes, OBJECTIVES.items(), strict=True):
        of = having(both, k=k, objective=losses)
        for mode in MODES:
            rows = [row["result"].content["history"] for row in records(having(of, schedule=mode))]
            if rows:
                _learning_curve(axis, mode, rows)
        axis.set_title(f"({letter}) ${_mathematical(title)}$", loc="left")
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylabel("GAP@20 on validation videos")
    handles, labels = max((axis.get_legend_handles_labels() for axis in axes), key=lambda pair: len(pair[1]))
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.suptitle(
        f"Learning with and beside the teacher ({runs.data}, k = {k}; mean and range over seeds)", x=0.01, ha="left"
    )
    return figure


def _learning_curve(axis: Any, mode: str, histories: list[list[Mapping[str, Any]]]) -> None:
    student = _curves(histories, "student")
    looks = {"serial": (RED, "o", "-"), "parallel": (BLUE, "D", "--")}[mode]
    _band(axis, student, f"{mode} student", *looks)
    teacher = _curves(histories, "teacher")
    if mode == "serial" and len(teacher):
        axis.axhline(teacher.max(1).mean(), color=BLACK, linestyle=":", label="serial teacher")
    elif len(teacher):
        _band(axis, teacher, "parallel teacher", SKY, "^", "-.")


def _curves(histories: Iterable[list[Mapping[str, Any]]], network: str) -> NDArray[np.float64]:
    """Collects a network's validation GAP by seed and epoch, phases joined: (seeds, epochs)."""
    curves = [
        [row["networks"][network]["validation"]["gap"] for row in h if network in row["networks"]] for h in histories
    ]
    shortest = min(map(len, curves), default=0)
    return np.array([curve[:shortest] for curve in curves], dtype=np.float64).reshape(len(curves), shortest)[
        :, :shortest
    ]


def _band(axis: Any, curves: NDArray[np.float64], label: str, color: str, marker: str, line: str) -> None:
    if not curves.size:
        return
    epochs = np.arange(1, curves.shape[1] + 1)
    size = 4 if len(epochs) <= 12 else 2.5
    axis.plot(epochs, curves.mean(0), color=color, marker=marker, markersize=size, linestyle=line, label=label)
    axis.fill_between(epochs, curves.min(0), curves.max(0), color=color, alpha=0.15, linewidth=0)


def _mathematical(title: str) -> str:
    return ",\\ ".join("L_{" + part.removeprefix("L_") + "}" for part in title.split(", "))


# ---------------------------------------------------------------------------------------------- Figure 3: encodings


def joint_embedding(runs: Runs, plt: Any) -> Any:
    """One t-SNE of the teacher's and the student's encodings of the same videos: teacher dark, student light."""
    found = encodings.of_best(runs)
    dark = (BLUE, RED, GREEN, "#8F6B00", "#7A2E63")
    light = ("#8CC8F0", "#F5B48A", "#7FD6B8", "#F0D060", "#E3B3D0")
    figure, axis = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
    for number, name in enumerate(found.names):
        of = found.classes == number
        student, teacher = found.student[of], found.teacher[of]
        for ours, theirs in zip(student, teacher, strict=True):
            axis.plot(*zip(ours, theirs, strict=True), color="#cccccc", linewidth=0.4, zorder=1)
        axis.scatter(*student.T, s=20, color=light[number], marker="^", zorder=2)
        axis.scatter(*teacher.T, s=18, color=dark[number], marker="o", zorder=3, label=name)
    axis.set(xticks=[], yticks=[], xlabel="", ylabel="")
    axis.grid(visible=False)
    axis.set_title(f"Encodings of the same videos, joint t-SNE ({runs.data}, {found.title})", loc="left", fontsize=10)
    classes = axis.legend(title="class", loc="center left", bbox_to_anchor=(1.0, 0.6))
    axis.add_artist(classes)
    shades = [
        axis.scatter([], [], color=color, marker=marker, label=label)
        for color, marker, label in (("#333333", "o", "teacher (dark)"), ("#bbbbbb", "^", "student (light)"))
    ]
    axis.legend(handles=shades, loc="center left", bbox_to_anchor=(1.0, 0.25))
    return figure


# ------------------------------------------------------------------------------------------------- cost and frames


def pareto(runs: Runs, plt: Any) -> Any:
    """Quality against multiply-accumulates, every method a point, and the front that no method beats on both."""
    rows = over_seeds(of_the_paper(runs.plain()))
    rows = rows[pd.to_numeric(rows["macs"]).notna()]
    figure, axis = plt.subplots(figsize=(8.2, 4.6), layout="constrained")
    looks = [_point_looks(row) for row in records(rows)]
    order = [*(title for title, *_ in _LOOKS.values()), _TEACHER]
    for place, title in enumerate(
        sorted({look[0] for look in looks}, key=lambda t: order.index(t) if t in order else 99)
    ):
        of = rows[[look[0] == title for look in looks]]
        _, color, marker = next(look for look in looks if look[0] == title)
        beside = of["macs"].astype(float) * (1 + 0.018 * (place - 4))  # equal costs would lie on one another
        spread = np.nan_to_num(of["gap_sd"].to_numpy(dtype=float))
        axis.errorbar(
            beside,
            of["gap"],
            spread,
            fmt=marker,
            color=color,
            ecolor=(color, 0.4),
            markersize=6,
            elinewidth=1,
            label=title,
        )
    front = _front(rows)
    axis.step(front["macs"], front["gap"], where="post", color=BLACK, linewidth=1, zorder=0, label="Pareto front")
    axis.set_xscale("log")
    axis.set_xlabel("multiply-accumulates a video")
    axis.set_ylabel("GAP@20 on test videos")
    axis.set_title(f"Quality against cost ({runs.data}; mean and deviation over seeds)", loc="left")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def of_the_paper(table: pd.DataFrame) -> pd.DataFrame:
    """Leaves out what the paper's main table does not have, such as intermediate matching."""
    kept: pd.DataFrame = table[table["objective"].isin(["ce", *OBJECTIVES])]
    return kept


def _point_looks(row: Mapping[str, Any]) -> tuple[str, str, str]:
    if row["k"] == "all":
        return _TEACHER, BLACK, "*"
    known = _LOOKS.get((row["schedule"], row["selector"]))
    if known is None:
        return f"{row['schedule']} {row['selector']}", "#777777", "h"
    return known[0], known[1], known[2]


def _front(rows: pd.DataFrame) -> pd.DataFrame:
    """Keeps the rows that are better than every cheaper one."""
    ordered = rows.sort_values(["macs", "gap"], ascending=[True, False], kind="stable")
    gaps = pd.to_numeric(ordered["gap"])
    front: pd.DataFrame = ordered[gaps > gaps.cummax().shift(fill_value=-1.0)]
    return front


def frame_budget(runs: Runs, plt: Any) -> Any:
    """Quality against k, a curve a method, and at which k each reaches 99 % of the teacher."""
    rows = over_seeds(of_the_paper(runs.plain()))
    teachers = having(rows, schedule="teacher")
    students = rows[rows["k"].astype(str) != "all"]
    if students.empty:
        raise ConfigError(["the curve over frames needs students at several k; benchmarks/paper/table1.toml asks them"])
    figure, axis = plt.subplots(figsize=(8.4, 4.8), layout="constrained")
    goal = None if teachers.empty else 0.99 * float(teachers.iloc[0]["gap"])
    curves = [group for _, group in students.groupby(["schedule", "selector", "objective"], sort=False)]
    for group in sorted(curves, key=_at_most_frames, reverse=True):
        first = records(group)[0]
        _frame_curve(axis, group, str(first["schedule"]), str(first["selector"]), str(first["objective"]), goal)
    if goal is not None:
        axis.axhline(goal / 0.99, color=BLACK, linewidth=1, label="teacher, all frames")
        axis.axhline(goal, color=BLACK, linewidth=1, linestyle=":", label="99 % of the teacher")
    axis.set_xlabel("frames the student sees (k)")
    axis.set_ylabel("GAP@20 on test videos")
    axis.set_xticks(sorted({int(k) for k in students["k"]}))
    axis.set_title(f"How many frames are needed ({runs.data}; mean and deviation over seeds)", loc="left")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5)
    return figure


def _at_most_frames(rows: pd.DataFrame) -> float:
    return float(max(records(rows), key=lambda row: int(row["k"]))["gap"])


def _frame_curve(axis: Any, rows: pd.DataFrame, schedule: str, selector: str, losses: str, goal: float | None) -> None:
    title, color, marker, line = _LOOKS.get((schedule, selector), (f"{schedule} {selector}", "#777777", "h", "-"))
    if schedule != "scratch":
        title += f" {losses}"
        shades = {"serial": ("#F5A97F", RED, "#7A2E00"), "parallel": ("#8CC8F0", BLUE, "#003B5C")}
        color = dict(zip(OBJECTIVES, shades[schedule], strict=True)).get(losses, color) if schedule in shades else color
    ordered = rows.assign(k=pd.to_numeric(rows["k"])).sort_values("k")
    ks, gaps = ordered["k"].to_numpy(dtype=float), ordered["gap"].to_numpy(dtype=float)
    needed = None if goal is None else frames_needed(ks, gaps, goal)
    if goal is not None:
        title += f": 99 % at k = {needed:.0f}" if needed is not None else ": below 99 %"
    spread = np.nan_to_num(ordered["gap_sd"].to_numpy(dtype=float))
    axis.plot(ks, gaps, color=color, marker=marker, linestyle=line, markersize=5, label=title)
    axis.fill_between(ks, gaps - spread, gaps + spread, color=color, alpha=0.12, linewidth=0)
    if needed is not None:
        axis.plot(needed, goal, marker="|", markersize=14, color=color, markeredgewidth=2, zorder=5)


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


FIGURES: Mapping[str, Callable[[Runs, Any], Any]] = {
    "figure2": learning_curves,
    "figure3": joint_embedding,
    "pareto": pareto,
    "budget": frame_budget,
}
