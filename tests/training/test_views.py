"""Views: what a network inherits, and numbers of frames that are drawn."""

from __future__ import annotations

import pytest
import torch
from conftest import TINY
from running import declared

from distillbench.distributed.processes import Share
from distillbench.errors import ConfigError
from distillbench.interfaces import Learner, NetworkSpec, Phase, Term, ViewSpec
from distillbench.training.build import Experiment, assemble, check_lengths, open_data
from distillbench.training.views import RandomK, longest_of

LABELS = (Term("ce"),)
NETWORKS = {
    "teacher": NetworkSpec("teacher"),
    "student": NetworkSpec("student"),
    "few": NetworkSpec("student", ViewSpec(k=2)),
    "short": NetworkSpec("teacher", ViewSpec("selector")),
    "shorter": NetworkSpec("teacher", ViewSpec("selector", 3)),
}
ALL = Phase("all", 1, {name: Learner(LABELS) for name in NETWORKS})


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    spec = declared(NETWORKS, [ALL], "student", TINY, train_selector="random")
    return assemble(spec, open_data(spec), torch.device("cpu"))


INHERITED = [
    ("teacher", None, ("teacher_selector", None)),
    ("student", None, ("selector", 4)),
    ("few", None, ("selector", 2)),
    ("short", None, ("selector", 4)),
    ("shorter", None, ("selector", 3)),
    ("student", ViewSpec(k=2), ("selector", 2)),
    ("student", ViewSpec(k=(1, 3)), ("selector", (1, 3))),
    ("student", ViewSpec("train_selector"), ("train_selector", 4)),
    ("student", ViewSpec("teacher_selector"), ("teacher_selector", None)),
    ("teacher", ViewSpec("selector"), ("selector", 4)),
    ("teacher", ViewSpec(k=5), ("teacher_selector", 5)),
    ("few", ViewSpec("selector"), ("selector", 2)),
    ("few", ViewSpec("train_selector"), ("train_selector", 4)),
]


@pytest.mark.parametrize(("network", "view", "seen"), INHERITED)
def test_a_view_inherits_what_is_not_declared(experiment, network, view, seen) -> None:
    assert experiment.spec.view(network, view) == ViewSpec(*seen)


def test_a_student_has_the_training_selector_in_training(experiment) -> None:
    names = {
        (network, training): type(experiment.view(network, training=training).selector).__name__
        for network in ("teacher", "student")
        for training in (False, True)
    }
    assert names[("student", False)] != names[("student", True)]
    assert names[("teacher", False)] == names[("teacher", True)]
    assert experiment.view("student", training=True).slots == experiment.view("student").slots == 4
    assert experiment.view("teacher").slots == longest_of(experiment.splits)


def test_frames_change_with_the_epoch_in_training_but_not_in_evaluation(experiment) -> None:
    which, train = torch.arange(20), experiment.splits.train
    training, evaluation = experiment.view("student", training=True), experiment.view("student")
    assert not torch.equal(training.index(train, which, 0), training.index(train, which, 1))
    assert torch.equal(evaluation.index(train, which, 0), evaluation.index(train, which, 1))


def test_all_processes_draw_the_same_number_of_frames_for_a_batch(experiment) -> None:
    view, train = (
        experiment.view("student", ViewSpec(k=(2, 6)), training=True),
        experiment.splits.train,
    )
    assert isinstance(view, RandomK)
    for epoch in range(8):
        which = torch.randperm(len(train), generator=torch.Generator().manual_seed(epoch))[:16]
        whole = view.chosen(train, which, epoch, slice(None))
        shares = [
            view.chosen(train, which, epoch, Share((0, 9, 16), rank).computed) for rank in (0, 1)
        ]
        assert [chosen.slots for chosen in shares] == [whole.slots] * 2
        assert torch.equal(torch.cat([chosen.videos for chosen in shares]), whole.videos)
        assert torch.equal(torch.cat([chosen.index for chosen in shares]), whole.index)


def test_every_number_of_a_range_occurs_and_no_other(experiment) -> None:
    view, train = (
        experiment.view("student", ViewSpec(k=(2, 5)), training=True),
        experiment.splits.train,
    )
    drawn = [
        view.chosen(train, torch.arange(start, start + 4), epoch, slice(None))
        for epoch in range(10)
        for start in range(0, 16, 4)
    ]
    assert {chosen.slots for chosen in drawn} == {2, 3, 4, 5}
    assert all(int((chosen.index >= 0).sum(1).max()) <= chosen.slots for chosen in drawn)


@pytest.mark.parametrize("k", [99, (2, 99)])
def test_more_frames_than_any_video_has_are_refused(k) -> None:
    phase = Phase("all", 1, {"student": Learner(LABELS, view=ViewSpec(k=k))})
    spec = declared(NETWORKS, [phase], "student", TINY)
    with pytest.raises(ConfigError, match="k = 99 is more than any video has"):
        check_lengths(spec, open_data(spec))
