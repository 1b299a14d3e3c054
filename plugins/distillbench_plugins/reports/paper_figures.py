"""The paper's figures: learning curves of its methods, and encodings of the same videos."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Figure, Report, Runs, Videos
from distillbench.reports import INCHES, having, legend, picked, plain_words, records
from distillbench_plugins.paper.methods import MODES, OBJECTIVES, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RED, _BLUE, _SKY, _BLACK = "#D55E00", "#0072B2", "#56B4E9", "#000000"

# ------------------------------------------------------------------------------ Figure 2: learning

_History = Sequence[Mapping[str, Any]]


class Figure2(Report):
    """The paper's Figure 2: validation GAP after each epoch, a panel for each choice of losses."""

    needs = "figure2"
    check_rows: ClassVar[Sequence[Mapping[str, object]]] = tuple(
        {"schedule": mode, "selector": "uniform", "loss": loss, "k": 6}
        for mode in MODES
        for loss in ("rep", "rep,ce")
    )

    def make(self, runs: Runs) -> Figure:
        """Draws the serial teacher as a line and three curves beside it, at the largest k.

        Panels share both axes. Where a student has several phases, each after the first is shaded
        and named.
        """
        rows = picked(
            plain(runs),
            lambda row: (
                row["schedule"] in MODES
                and row["objective"] in OBJECTIVES
                and row["selector"] == "uniform"
            ),
        )
        if rows.empty:
            raise self.lacking("Figure 2 needs runs of serial or parallel")
        k = max(int(value) for value in rows["k"])
        histories = {
            (mode, losses): [
                runs.stored(str(row["run"]))["history"]
                for row in records(having(rows, k=k, schedule=mode, objective=losses))
            ]
            for mode in MODES
            for losses in OBJECTIVES
        }

        def draw(plt: Any, columns: int) -> Any:
            return _panels(plt, columns, histories, f"{runs.data}, k = {k}")

        return Figure(draw)


def _panels(
    plt: Any, columns: int, histories: Mapping[tuple[str, str], list[_History]], where: str
) -> Any:
    shape, height = ((3, 1), 6.0) if columns == 1 else ((1, 3), 2.7)
    size = (INCHES[columns], height)
    figure, axes = plt.subplots(
        *shape, figsize=size, sharex=True, sharey=True, layout="constrained"
    )
    for letter, axis, (losses, title) in zip("abc", axes, OBJECTIVES.items(), strict=True):
        for mode in MODES:
            if histories[mode, losses]:
                _learning_curve(axis, mode, histories[mode, losses])
        axis.set_title(f"({letter}) ${_mathematical(title)}$", loc="left")
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_xlim(left=0)
    for axis in axes[-1:] if columns == 1 else axes:
        axis.set_xlabel("epoch")
    figure.supylabel("GAP@20 on validation videos", fontsize=8)
    curves = [axis.get_legend_handles_labels() for axis in axes]
    handles, labels = max(curves, key=lambda pair: len(pair[1]))
    figure.legend(handles, labels, loc="outside lower center", ncols=2 * columns)
    title = f"Learning with and beside the teacher\n{plain_words(where)}; mean and range over seeds"
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def _learning_curve(axis: Any, mode: str, histories: list[_History]) -> None:
    student = _curves(histories, "student")
    color, marker, line = {"serial": (_RED, "o", "-"), "parallel": (_BLUE, "D", "--")}[mode]
    _band(axis, student, f"{mode} student", color, marker, line)
    _mark_phases(axis, histories[0], color, student.shape[1])
    teacher = _curves(histories, "teacher")
    if mode == "serial" and teacher.size:
        best = teacher.max(1).mean()
        axis.axhline(best, color=_BLACK, linestyle=":", label="serial teacher")
    elif teacher.size:
        _band(axis, teacher, "parallel teacher", _SKY, "^", "-.")


def _mark_phases(axis: Any, history: _History, color: str, epochs: int) -> None:
    """Shades and names every phase of the student after its first."""
    names = [str(row["phase"]) for row in history if "student" in row["networks"]][:epochs]
    begins = [epoch for epoch in range(1, len(names)) if names[epoch] != names[epoch - 1]]
    for begin, end in itertools.pairwise([*begins, len(names)]):
        axis.axvspan(begin + 0.5, end + 0.5, color=color, alpha=0.1, linewidth=0, zorder=0)
        axis.axvline(begin + 0.5, color=color, linewidth=0.8, zorder=0)
        axis.text(
            (begin + end) / 2 + 0.5,
            0.03,
            plain_words(names[begin]),
            transform=axis.get_xaxis_transform(),
            rotation=90,
            color=color,
            fontsize=7,
            ha="center",
            va="bottom",
        )


def _curves(histories: Iterable[_History], network: str) -> NDArray[np.float64]:
    """Collects a network's validation GAP by seed and epoch, phases joined: (seeds, epochs)."""
    curves = [
        [r["networks"][network]["validation"]["gap"] for r in history if network in r["networks"]]
        for history in histories
    ]
    shortest = min(map(len, curves), default=0)
    shape = (len(curves), shortest)
    return np.array([curve[:shortest] for curve in curves], dtype=np.float64).reshape(shape)


def _band(
    axis: Any, curves: NDArray[np.float64], label: str, color: str, marker: str, line: str
) -> None:
    if not curves.size:
        return
    epochs = np.arange(1, curves.shape[1] + 1)
    axis.plot(
        epochs,
        curves.mean(0),
        color=color,
        marker=marker,
        markersize=3 if len(epochs) <= 12 else 2,
        linestyle=line,
        label=label,
    )
    axis.fill_between(epochs, curves.min(0), curves.max(0), color=color, alpha=0.15, linewidth=0)


def _mathematical(title: str) -> str:
    return ",\\ ".join("L_{" + part.removeprefix("L_") + "}" for part in title.split(", "))


# ----------------------------------------------------------------------------- Figure 3: encodings

_CLASSES, _VIDEOS_A_CLASS = 5, 60
_DARK = (_BLUE, _RED, "#009E73", "#8F6B00", "#7A2E63")
_LIGHT = ("#8CC8F0", "#F5B48A", "#7FD6B8", "#F0D060", "#E3B3D0")


@dataclass(frozen=True)
class Embedding:
    """N videos in two dimensions, twice.

    teacher, student: (N, 2).

    classes: (N,) numbers in `names`.
    title: of which run.
    """

    teacher: NDArray[np.float64]
    student: NDArray[np.float64]
    classes: NDArray[np.int64]
    names: tuple[str, ...]
    title: str


class Figure3(Report):
    """The paper's Figure 3: one t-SNE of the teacher's and the student's encodings."""

    needs = "figure3"
    check_rows: ClassVar[Sequence[Mapping[str, object]]] = (
        {"schedule": "serial", "selector": "uniform", "loss": "rep,ce,pred", "k": 6},
    )

    def make(self, runs: Runs) -> Figure:
        """Embeds the serial run with the most frames and losses, encoded again."""
        serial = picked(
            plain(runs),
            lambda row: row["schedule"] == "serial" and row["objective"] in OBJECTIVES,
        )
        if serial.empty:
            raise self.lacking("Figure 3 needs a run of serial")
        row = max(
            records(serial), key=lambda r: (int(r["k"]), len(str(r["objective"])), -int(r["seed"]))
        )
        found = embedded(runs, row)

        def draw(plt: Any, columns: int) -> Any:
            return _scattered(plt, columns, found, runs.data)

        return Figure(draw)


def embedded(runs: Runs, row: Mapping[str, Any]) -> Embedding:
    """Embeds test videos of a run, from stored weights: one joint t-SNE of teacher and student.

    Five classes with the most test videos that have one of them alone.
    """
    networks = runs.restore(str(row["run"]))
    if "teacher" not in networks.names:
        gone = "its teacher is not in the folder of results any more; run it with --retrain"
        raise ConfigError([f"run {row['run']}: {gone}"])
    which, classes, names = _chosen(networks.test)
    teacher, student = (networks.encode(name, which) for name in ("teacher", "student"))
    if teacher.shape[1] != student.shape[1]:
        raise ConfigError(
            ["a joint t-SNE needs encodings of equal width; the teacher's and the student's differ"]
        )
    placed = _tsne(np.concatenate([teacher, student]))
    title = f"{row['objective']}, k = {row['k']}, seed {row['seed']}"
    return Embedding(placed[: len(which)], placed[len(which) :], classes, names, title)


def _chosen(videos: Videos) -> tuple[Tensor, NDArray[np.int64], tuple[str, ...]]:
    """Chooses videos that have one of five classes and none of the other four."""
    dense = videos.labels.dense(torch.arange(len(videos)))
    favourite = dense.sum(0).topk(min(_CLASSES, dense.shape[1])).indices
    of = dense[:, favourite]
    alone = of.sum(1) == 1
    which, classes = [], []
    for number in range(len(favourite)):
        found = torch.nonzero(alone & (of[:, number] == 1))[:_VIDEOS_A_CLASS, 0]
        which.append(found)
        classes += [number] * len(found)
    known = videos.class_names
    names = tuple(str(known[int(c)]) if known else f"class {int(c)}" for c in favourite)
    return torch.cat(which), np.array(classes, dtype=np.int64), names


def _tsne(points: NDArray[np.float64]) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    near = min(30.0, max(2.0, (len(points) - 1) / 4))
    made = TSNE(2, perplexity=near, init="pca", random_state=0)
    placed: NDArray[np.float64] = made.fit_transform(points)
    return placed


def _scattered(plt: Any, columns: int, found: Embedding, data: str) -> Any:
    """Draws the teacher's encodings dark and the student's light, a line between the two."""
    size = (INCHES[columns], 4.2 if columns == 1 else 4.8)
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    handles = []
    for number, name in enumerate(found.names):
        of = found.classes == number
        student, teacher = found.student[of], found.teacher[of]
        for ours, theirs in zip(student, teacher, strict=True):
            pair = zip(ours, theirs, strict=True)
            axis.plot(*pair, color="#cccccc", linewidth=0.4, zorder=1)
        axis.scatter(*student.T, s=8 * columns, color=_LIGHT[number], marker="^", zorder=2)
        handles.append(
            axis.scatter(
                *teacher.T,
                s=7 * columns,
                color=_DARK[number],
                marker="o",
                zorder=3,
                label=f"class {name}",
            )
        )
    axis.set(xticks=[], yticks=[], xlabel="", ylabel="")
    axis.grid(visible=False)
    title = f"Encodings of the same videos, joint t-SNE\n{plain_words(f'{data}, {found.title}')}"
    axis.set_title(title, loc="left")
    for color, marker, label in (
        ("#333333", "o", "teacher (dark)"),
        ("#bbbbbb", "^", "student (light)"),
    ):
        handles.append(axis.scatter([], [], s=8 * columns, color=color, marker=marker, label=label))
    legend(figure, handles, columns, beneath=3)
    return figure


@hookimpl
def reports() -> dict[str, type[Report]]:
    """Offers `figure2` and `figure3`."""
    return {"figure2": Figure2, "figure3": Figure3}
