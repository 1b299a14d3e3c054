"""Answers that were found on several machines are one family."""

from __future__ import annotations

import math
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from distillbench.analysis.contrasts import Answer, Contrast, holm
from distillbench.cli.render.contrasts import render
from distillbench.interfaces import Difference
from join_contrasts import joined, read


def table(p_values: dict[str, float | None]) -> pd.DataFrame:
    """Makes what `compare --holm --format csv` prints of contrasts with these p-values."""
    adjusted = holm([1.0 if p is None else p for p in p_values.values()])
    answers = [
        Answer(Contrast(name, ("k=1",), ("k=2",)), holm=correct)
        if p is None
        else Answer(Contrast(name, ("k=1",), ("k=2",)), "GAP@20", difference(p), correct)
        for (name, p), correct in zip(p_values.items(), adjusted, strict=True)
    ]
    return pd.read_csv(StringIO(render(answers, "csv")))


def difference(p: float) -> Difference:
    return Difference(a=0.5, b=0.4, value=0.1, low=0.05, high=0.15, p=p, paired_seeds=5)


def test_an_answer_that_is_not_found_here_is_kept_and_all_are_corrected_together() -> None:
    everywhere = {"AudioSet": 0.001, "reels": 0.03, "speech": 0.02}
    here = table({"AudioSet": None, "reels": 0.03, "speech": None})
    elsewhere = table({"AudioSet": 0.001, "reels": None, "speech": 0.02})
    assert here["p_holm"].tolist() == pytest.approx([1, 0.09, 1])
    pd.testing.assert_frame_equal(joined(here, elsewhere), table(everywhere), check_dtype=False)


def test_an_answer_found_here_replaces_the_earlier_one() -> None:
    now = joined(table({"reels": 0.5}), table({"reels": 0.01}))
    assert now["p"].tolist() == [0.5]
    assert now["real"].tolist() == [False]


def test_a_contrast_that_is_answered_nowhere_counts_and_one_no_longer_asked_does_not() -> None:
    now = joined(table({"new": None, "reels": 0.02}), table({"gone": 0.001, "reels": 0.4}))
    assert now["contrast"].tolist() == ["new", "reels"]
    assert math.isnan(now["value"][0])
    assert now["p_holm"].tolist() == pytest.approx([1, 0.04])
    assert now["real"].tolist() == [False, True]


@pytest.mark.parametrize(
    "text",
    ["", "arm,metric,mean\nrep,gain,0.1\n", "contrast,value,p\n", "contrast,value,p\na,0.1,x\n"],
)
def test_what_is_no_table_of_contrasts_is_refused_by_name(text: str, tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text(text)
    with pytest.raises(SystemExit, match=r"other\.csv: not what `compare --holm"):
        read(table)
