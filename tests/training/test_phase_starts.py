"""What a phase does to the networks when it begins, while it runs and when it ends."""

from __future__ import annotations

import copy

import pytest
import torch
from conftest import TINY
from running import declared, metrics_for
from torch import nn

from distillbench.interfaces import (
    Average,
    Codec,
    Copy,
    Follow,
    Freeze,
    Init,
    Learner,
    NetworkSpec,
    Phase,
    Term,
    Tie,
)
from distillbench.networks import Model
from distillbench.training import phase_starts
from distillbench.training.build import assemble, build_network, open_data
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.loop import fit
from distillbench.training.teacher_store import TeacherStore

CPU = torch.device("cpu")
NAMES = ("teacher", "student", "peer")
LABELS = (Term("ce"),)


@pytest.fixture
def models() -> dict[str, Model]:
    """Three different networks, each with a head and a counting buffer."""
    torch.manual_seed(0)
    made = {}
    for number, name in enumerate(NAMES):
        encoder = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        encoder[1].num_batches_tracked += 10 * (number + 1)
        made[name] = Model(encoder, nn.Linear(4, 2), Codec())  # type: ignore[arg-type]
    return made


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(module.state_dict())


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def fresh_network(name: str) -> Model:
    torch.manual_seed(NAMES.index(name) + 100)
    encoder = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    return Model(encoder, nn.Linear(4, 2), Codec())  # type: ignore[arg-type]


def begun(models, **learners: Init) -> Phase:
    phase = Phase("p", 1, {name: Learner(LABELS, init) for name, init in learners.items()})
    phase_starts.begin(phase, models, fresh_network)
    phase_starts.set_modes(phase, models)
    return phase


def test_weights_are_kept_by_default(models) -> None:
    before = {name: state(model) for name, model in models.items()}
    begun(models, student=Init())
    assert all(same(before[name], state(model)) for name, model in models.items())


def test_copied_encoders_and_heads_have_equal_weights_but_are_separate_modules(models) -> None:
    begun(models, student=Init(Copy("teacher"), Copy("peer")))
    assert same(state(models["student"].encoder), state(models["teacher"].encoder))
    assert same(state(models["student"].head), state(models["peer"].head))
    assert models["student"].head is not models["peer"].head
    assert models["student"].encoder is not models["teacher"].encoder


def test_a_copy_of_a_copy_is_made_in_order(models) -> None:
    begun(models, student=Init(head=Copy("peer")), peer=Init(head=Copy("teacher")))
    assert same(state(models["student"].head), state(models["teacher"].head))


def test_a_copy_of_a_fresh_network_has_the_newly_drawn_weights(models) -> None:
    begun(models, student=Init(Copy("peer")), peer=Init("fresh"))
    assert same(state(models["student"].encoder), state(fresh_network("peer").encoder))


def test_a_fresh_encoder_leaves_the_head_unchanged(models) -> None:
    before = state(models["student"].head)
    begun(models, student=Init("fresh"))
    assert same(state(models["student"].encoder), state(fresh_network("student").encoder))
    assert same(state(models["student"].head), before)


def test_starts_are_copied_before_weights_are_drawn(models) -> None:
    before = state(models["student"])
    phase = Phase(
        "p", 1, {"student": Learner(LABELS, Init("fresh", "fresh"))}, starts={"peer": "student"}
    )
    phase_starts.begin(phase, models, fresh_network)
    assert same(state(models["peer"]), before)
    assert same(state(models["student"]), state(fresh_network("student")))


def test_a_tied_head_is_shared_during_the_phase_and_copied_at_its_end(
    models,
) -> None:
    phase = begun(models, student=Init(head=Tie("teacher")))
    assert models["student"].head is models["teacher"].head
    assert all(p.requires_grad for p in models["teacher"].head.parameters())
    assert not any(p.requires_grad for p in models["teacher"].encoder.parameters())
    with torch.no_grad():
        models["student"].head.weight += 1.0
    phase_starts.end(phase, models)
    assert models["student"].head is not models["teacher"].head
    assert same(state(models["student"].head), state(models["teacher"].head))


def test_a_frozen_head_is_a_copy_that_is_not_trained(models) -> None:
    phase = begun(models, student=Init(head=Freeze("teacher")))
    assert same(state(models["student"].head), state(models["teacher"].head))
    assert models["student"].head is not models["teacher"].head
    assert not models["student"].head.training
    assert {name.split(".")[1] for name in phase_starts.learning_parameters(phase, models)} == {
        "encoder"
    }


def test_a_head_that_follows_is_copied_after_every_step_and_moved_by_no_gradient(models) -> None:
    phase = begun(models, student=Init(head=Follow("teacher")), teacher=Init())
    student, teacher = models["student"], models["teacher"]
    assert student.head is not teacher.head
    assert student.head.training
    learning = phase_starts.learning_parameters(phase, models)
    assert {name for name in learning if ".head." in name} == {
        "teacher.head.weight",
        "teacher.head.bias",
    }
    student.head(student.encoder(torch.randn(5, 3))).sum().backward()
    assert bool(student.encoder[0].weight.grad.any())
    with torch.no_grad():
        teacher.head.weight += 1.0
    phase_starts.follow(phase, models)
    assert same(state(student.head), state(teacher.head))


def test_an_average_holds_the_head_that_its_source_follows_by_now(models) -> None:
    learners = {
        "student": Learner(LABELS, Init(head=Follow("teacher"))),
        "teacher": Learner(LABELS),
    }
    phase = Phase("p", 1, learners, averages={"peer": Average("student", 0.0)})
    phase_starts.begin(phase, models, fresh_network)
    with torch.no_grad():
        models["teacher"].head.weight += 1.0
    phase_starts.follow(phase, models)
    assert same(state(models["peer"].head), state(models["teacher"].head))


def test_learners_are_in_training_mode_and_others_in_evaluation_mode_without_gradient(
    models,
) -> None:
    begun(models, student=Init())
    for name, model in models.items():
        learns = name == "student"
        assert {module.training for module in model.modules()} == {learns}
        assert {p.requires_grad for p in model.parameters()} == {learns}


def test_a_frozen_head_is_trained_again_in_the_next_phase(models) -> None:
    begun(models, student=Init(head=Freeze("teacher")))
    begun(models, student=Init())
    assert models["student"].head.training
    assert all(p.requires_grad for p in models["student"].parameters())


def test_an_average_begins_as_a_copy_and_follows_its_source_by_its_decay(models) -> None:
    phase = Phase(
        "p", 1, {"student": Learner(LABELS)}, averages={"teacher": Average("student", 0.75)}
    )
    phase_starts.begin(phase, models, fresh_network)
    start = state(models["student"])
    assert same(state(models["teacher"]), start)
    with torch.no_grad():
        for tensor in models["student"].state_dict().values():
            tensor += 2
    phase_starts.follow(phase, models)
    for name, tensor in models["teacher"].state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, 0.75 * start[name] + 0.25 * (start[name] + 2))
        else:
            assert torch.equal(tensor, start[name] + 2), "a count is copied"
    assert models["teacher"].encoder[1].num_batches_tracked.dtype == torch.int64


def test_an_average_of_an_average_follows_in_order(models) -> None:
    averages = {"teacher": Average("peer", 0.5), "peer": Average("student", 0.5)}
    phase = Phase("p", 1, {"student": Learner(LABELS)}, averages=averages)
    phase_starts.begin(phase, models, fresh_network)
    start = state(models["student"])
    assert same(state(models["teacher"]), start)
    with torch.no_grad():
        models["student"].head.bias += 4
    phase_starts.follow(phase, models)
    torch.testing.assert_close(models["peer"].head.bias, start["head.bias"] + 2)
    torch.testing.assert_close(models["teacher"].head.bias, start["head.bias"] + 1)


def born_again_spec(learning_rate: str):
    fresh = Init("fresh", "fresh")
    phases = [
        Phase("first", 1, {"student": Learner(LABELS, fresh)}),
        Phase(
            "second",
            1,
            {"student": Learner((Term("pred", 1.0, "peer"),), fresh)},
            starts={"peer": "student"},
        ),
    ]
    networks = {name: NetworkSpec("student") for name in ("student", "peer")}
    return declared(networks, phases, "student", [*TINY, f"training.learning_rate={learning_rate}"])


def test_fresh_weights_differ_between_phases_and_are_reproducible() -> None:
    spec = born_again_spec("0")
    splits = open_data(spec)
    first, again, second, initial = (
        state(build_network(spec, splits, "student", *purpose)[0])
        for purpose in (("first",), ("first",), ("second",), ())
    )
    assert same(first, again)
    assert not same(first, second)
    assert not same(first, initial)


def test_a_run_draws_the_fresh_weights_of_each_phase(tmp_path) -> None:
    spec = born_again_spec("0")
    experiment = assemble(spec, open_data(spec), CPU)
    fit(experiment, metrics_for(experiment), TeacherStore(tmp_path), Checkpoints(None, spec.key))
    first, second = (
        state(build_network(spec, experiment.splits, "student", name)[0])
        for name in ("first", "second")
    )
    assert same(state(experiment.models["peer"]), first)
    assert same(state(experiment.models["student"]), second)


def test_a_reported_average_is_validated_and_differs_from_the_student(tmp_path) -> None:
    phases = [
        Phase(
            "all",
            2,
            {"student": Learner((Term("ce"),))},
            averages={"mean": Average("student", 0.5)},
        ),
    ]
    networks = {name: NetworkSpec("student") for name in ("student", "mean")}
    spec = declared(networks, phases, "mean", TINY)
    experiment = assemble(spec, open_data(spec), CPU)
    history = fit(
        experiment, metrics_for(experiment), TeacherStore(tmp_path), Checkpoints(None, spec.key)
    ).history
    assert set(history[-1]["networks"]) == {"student", "mean"}
    assert history[-1]["networks"]["mean"]["terms"] == {}
    assert not same(state(experiment.models["mean"]), state(experiment.models["student"]))
