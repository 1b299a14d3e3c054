"""Networks and losses that do not fit together are refused before training, with the reason."""

from __future__ import annotations

import pytest
import torch
from running import declared

from distillbench.errors import NotApplicableError
from distillbench.interfaces import Ensemble, Learner, NetworkSpec, Phase, Term
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


def test_a_loss_that_reads_a_selection_is_refused_where_no_selector_is_learned(make_spec):
    spec = make_spec(loss="ce,rank-frames")
    assert (
        "the loss 'rank-frames' reads what a learned selector chose, and the student has none"
        in refused(spec)
    )


def test_a_learned_selector_that_nothing_would_teach_is_refused(make_spec):
    told = (
        "no loss of the student reads what its selector 'scorer' chose, and the selector learns "
        "from nothing else"
    )
    assert told in refused(make_spec(selector="scorer", loss="ce"))
    for spec in (
        make_spec(selector="scorer", loss="ce,rank-frames"),
        make_spec(selector="gumbel", loss="ce"),
    ):
        assert assemble(spec, open_data(spec), torch.device("cpu")).models


def test_single_frames_of_an_ensemble_have_no_logits():
    teachers = {"teacher": NetworkSpec("teacher"), "other": NetworkSpec("teacher")}
    both = {"both": Ensemble(("teacher", "other"))}
    phases = [
        Phase("first", 1, {name: Learner((Term("ce"),)) for name in teachers}),
        Phase(
            "last", 1, {"student": Learner((Term("rank-frames", teacher="both"),))}, ensembles=both
        ),
    ]
    networks = {**teachers, "student": NetworkSpec("student")}
    spec = declared(networks, phases, "student", [], selector="scorer", loss="ce,rank-frames")
    assert "needs logits of single frames, and an ensemble has none" in refused(spec)


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
