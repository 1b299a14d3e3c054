"""Names are words in a figure, whatever they are made of."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillbench.interfaces import Figure
from distillbench.reports import INCHES, legend, plain_words
from distillbench.reports.figure import drawn

TEXTS = st.text(st.characters(codec=None)) | st.text("_$x{}^\\\n \x1b\u202e\U0001f600", min_size=1)


@settings(deadline=None)
@given(TEXTS)
def test_words_are_never_empty_hidden_or_of_lines_that_are_too_long(text):
    pytest.importorskip("matplotlib")
    shown = plain_words(text, 30)
    assert shown.strip()
    assert not shown.startswith("_")
    assert all(len(line.replace(r"\$", "$")) <= 31 for line in shown.splitlines())
    assert all(character.isprintable() for character in shown.replace("\n", ""))


@settings(max_examples=10, deadline=None)
@given(TEXTS)
def test_any_text_can_be_a_title_and_in_a_legend(text):
    pytest.importorskip("matplotlib")

    def draw(plt, columns):
        figure, axis = plt.subplots(figsize=(INCHES[columns], 2), layout="constrained")
        lines = axis.plot([0, 1], label=text)
        axis.set_title(plain_words(text))
        legend(figure, lines, columns)
        return figure

    for columns in INCHES:
        with drawn(Figure(draw), columns) as figure:
            figure.savefig(io.BytesIO(), format="png", dpi=30)
            (found,) = figure.legends[0].get_texts()
            assert found.get_text().strip()


def test_a_figure_that_fails_leaves_none_open():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_fignums()

    def draw(plt, columns):
        plt.subplots()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), drawn(Figure(draw), 1):
        pass
    assert pyplot.get_fignums() == before
