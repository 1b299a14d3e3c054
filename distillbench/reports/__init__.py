"""What reports are made with: choosing rows, cells of tables, and the look of figures.

A report gets its runs from the framework (`distillbench.interfaces.Runs`); what is here needs
nothing but the rows.
"""

from distillbench.reports.cells import cell, cells, seeds_note
from distillbench.reports.curves import OTHERS, Curve, curves, frames_needed, metric_of
from distillbench.reports.figure import INCHES, STYLE, legend, plain_words
from distillbench.reports.rows import frames, having, picked, records
from distillbench.reports.style import LINES, MARKERS, PALETTE, Look, looks

__all__ = [
    "INCHES",
    "LINES",
    "MARKERS",
    "OTHERS",
    "PALETTE",
    "STYLE",
    "Curve",
    "Look",
    "cell",
    "cells",
    "curves",
    "frames",
    "frames_needed",
    "having",
    "legend",
    "looks",
    "metric_of",
    "picked",
    "plain_words",
    "records",
    "seeds_note",
]
