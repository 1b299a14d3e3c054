"""`distillbench report` as a user meets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


def test_a_figure_goes_to_a_folder_of_figures_as_wide_as_was_asked(
    command: Command, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert command("run", *tiny, "--schedule", "scratch")[0] == 0
    widths = []
    for asked in ([], ["--width", "1"], ["--width", "2"]):
        code, out, err = command("report", "pareto", *asked)
        assert code == 0, err
        assert out.split() == ["figures/pareto-digits.png", "figures/pareto-digits.svg"]
        widths.append(int.from_bytes(Path("figures/pareto-digits.png").read_bytes()[16:20], "big"))
    assert widths[0] == widths[2] > 2 * widths[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "results"]
    assert command("report", "pareto", "--out", "elsewhere")[1].split()[0] == "elsewhere/pareto-digits.png"
    assert command("report", "pareto", "--width", "3")[0] == 2
