"""Networks and losses that do not fit together are refused before training, with the reason."""

from __future__ import annotations

import pytest
import torch

from distillbench.errors import NotApplicableError
from distillbench.training.build import assemble, open_data


def refused(spec) -> str:
    with pytest.raises(NotApplicableError) as caught:
        assemble(spec, open_data(spec), torch.device("cpu"))
    return str(caught.value)


def test_a_loss_that_needs_equal_widths_is_refused_for_unequal_ones(make_spec):
    spec = make_spec("student.cell_size=9", "schedule.head=separate", loss="rep")
    assert (
        "needs encodings of equal width; the student's has 36 numbers, the teacher's 32"
        in refused(spec)
    )


@pytest.mark.parametrize(
    ("schedule", "head", "verb"),
    [("serial", "copy", "copied"), ("serial", "frozen", "frozen"), ("parallel", "tied", "tied")],
)
def test_a_head_for_encodings_of_another_width_is_refused_before_training(
    make_spec, schedule, head, verb
):
    spec = make_spec(
        "student.cell_size=9", f"schedule.head={head}", schedule=schedule, loss="ce,pred"
    )
    assert (
        f"gives the student the teacher's head ({verb}), which reads encodings of 32 numbers"
        in refused(spec)
    )


def test_networks_with_separate_heads_may_differ_in_width(make_spec):
    spec = make_spec("student.cell_size=9", "schedule.head=separate", loss="ce,pred")
    assert assemble(spec, open_data(spec), torch.device("cpu")).models


def test_a_sweep_reports_an_incompatible_pair_as_a_row(command, tiny, tmp_path):
    flags = [
        "--loss",
        "ce;rep",
        "--schedule",
        "parallel",
        "--set",
        "schedule.head=separate",
        "--workers",
        "1",
    ]
    command("sweep", *tiny, *flags, "--set", "student.cell_size=9", "--results", tmp_path)
    code, out, _ = command("leaderboard", tmp_path, "--format", "csv")
    assert code == 0
    assert "not applicable" in out
    assert "needs encodings of equal width" in out
