"""The loss of a step, against computations written out by hand; and the optimizer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from conftest import TINY
from running import declared, metrics_for
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from distillbench.config.layers import Training
from distillbench.data.batches import Batch, batches
from distillbench.interfaces import (
    Average,
    Ensemble,
    LabelLoss,
    Learner,
    NetworkSpec,
    Phase,
    Ramp,
    Requirements,
    Teacher,
    Term,
    ViewSpec,
)
from distillbench.registry.discovery import Component
from distillbench.training import phase_starts
from distillbench.training.build import Experiment, LossKey, assemble, open_data
from distillbench.training.checkpoint import Checkpoints
from distillbench.training.loop import fit
from distillbench.training.objective import Objective
from distillbench.training.optimizer import Optimizer
from distillbench.training.output_cache import OutputCache
from distillbench.training.teacher_store import TeacherStore

SETTINGS = [*TINY, "training.precision=fp32", "head.dropout=0"]
NETWORKS = {
    "teacher": NetworkSpec("teacher"),
    "student": NetworkSpec("student"),
    "peer": NetworkSpec("student"),
}
TRAINED = Phase("before", 0, {"teacher": Learner((Term("ce"),)), "peer": Learner((Term("ce"),))})


class Step:
    """One phase, and the first batch of it."""

    def __init__(
        self, phase: Phase, folder, assignments: Sequence[str] = (), components=(), **chosen
    ) -> None:
        spec = declared(
            NETWORKS, [TRAINED, phase], "student", [*SETTINGS, *assignments], components, **chosen
        )
        self.experiment: Experiment = assemble(spec, open_data(spec), torch.device("cpu"))
        phase_starts.set_modes(phase, self.experiment.models)
        self.objective = Objective(self.experiment, phase, OutputCache(folder))
        order = torch.randperm(64, generator=torch.Generator().manual_seed(3))
        self.batch: Batch = next(
            iter(batches(self.experiment.splits.train, order, 16, self.objective.views))
        )
        self.sums: dict[str, torch.Tensor] = {}

    def loss(self, progress: float = 0.0) -> torch.Tensor:
        self.sums.clear()
        return self.objective(self.batch, self.sums, progress)

    def output(self, network: str, clips: str = ""):
        return self.experiment.models[network](self.batch.clips[clips or network])

    def gradients(self, *networks: str) -> dict[str, torch.Tensor]:
        found = {
            f"{network}.{name}": p.grad.clone()
            for network in networks
            for name, p in self.experiment.models[network].named_parameters()
            if p.grad is not None
        }
        for network in networks:
            self.experiment.models[network].zero_grad()
        return found


def cross_entropy(logits, labels):
    return binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(logits)


def divergence(student, teacher):
    yes = teacher.sigmoid() * (logsigmoid(teacher) - logsigmoid(student))
    no = (-teacher).sigmoid() * (logsigmoid(-teacher) - logsigmoid(-student))
    return (yes + no).sum() / len(student)


def number(value: torch.Tensor) -> float:
    return float(value.detach())


def assert_equal_gradients(computed, expected) -> None:
    assert computed.keys() == expected.keys()
    assert computed
    for name, gradient in computed.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6, msg=name)


def test_peers_that_match_each_other_get_the_gradients_of_their_own_losses_alone(
    tmp_path,
) -> None:
    def learner(other: str) -> Learner:
        return Learner((Term("ce"), Term("pred", 0.5, other)))

    step = Step(
        Phase("peers", 1, {"student": learner("peer"), "peer": learner("student")}), tmp_path
    )
    step.loss().backward()
    computed = step.gradients("student", "peer")
    one, other = step.output("student").logits, step.output("peer").logits
    labels = step.batch.labels
    by_hand = cross_entropy(one, labels) + 0.5 * divergence(one, other.detach())
    by_hand = by_hand + cross_entropy(other, labels) + 0.5 * divergence(other, one.detach())
    by_hand.backward()
    assert_equal_gradients(computed, step.gradients("student", "peer"))
    assert number(step.loss()) == pytest.approx(number(by_hand), rel=1e-5)
    assert set(step.sums) == {"student/ce", "student/pred", "peer/ce", "peer/pred"}


def test_the_running_sums_hold_unweighted_losses_times_the_number_of_videos(tmp_path) -> None:
    step = Step(Phase("p", 1, {"student": Learner((Term("ce", 0.25),))}), tmp_path)
    value = number(step.loss())
    assert float(step.sums["student/ce"]) == pytest.approx(4 * value * 16, rel=1e-6)


@pytest.mark.parametrize(
    ("progress", "share"), [(0.0, 0.0), (0.125, 0.25), (0.25, 0.5), (0.5, 1.0), (0.9, 1.0)]
)
def test_a_ramp_follows_the_progress_of_the_phase_and_then_stays_constant(
    tmp_path, progress, share
) -> None:
    step = Step(Phase("p", 1, {"student": Learner((Term("ce", Ramp(1.0, 3.0, 0.5)),))}), tmp_path)
    value = number(step.loss(progress))
    assert value == pytest.approx((1 + 2 * share) * float(step.sums["student/ce"]) / 16, rel=1e-5)


def test_a_ramp_of_length_zero_is_at_its_end() -> None:
    assert Ramp(0.0, 2.0, over=0.0).at(0.0) == 2.0


def test_a_teacher_with_the_learners_view_sees_the_same_frames(tmp_path) -> None:
    term = Term("pred", 1.0, Teacher("teacher", view="learner"))
    step = Step(Phase("p", 1, {"student": Learner((term,))}), tmp_path, train_selector="random")
    seen: dict[str, list[torch.Tensor]] = {"teacher": [], "student": []}
    for name, frames in seen.items():
        step.experiment.models[name].encoder.register_forward_pre_hook(
            lambda _, given, frames=frames: frames.append(given[0].times)
        )
    value = step.loss()
    assert torch.equal(seen["teacher"][0], seen["student"][0])
    assert "teacher" not in step.objective.views, "no frames are read for the teacher"
    by_hand = divergence(step.output("student").logits, step.output("teacher", "student").logits)
    assert number(value) == pytest.approx(number(by_hand), rel=1e-5)


def test_shuffled_videos_compare_each_video_with_the_one_before_it_in_the_batch(tmp_path) -> None:
    def value(videos: str) -> tuple[float, float, float]:
        term = Term("rep", 1.0, Teacher("peer", view="learner", videos=videos))
        step = Step(Phase("p", 1, {"student": Learner((term,))}), tmp_path / videos)
        student, peer = (
            step.output(name, "student").encoding.summary for name in ("student", "peer")
        )
        distances = [(student - other).square().sum(1).mean() for other in (peer, peer.roll(1, 0))]
        return number(step.loss()), *map(number, distances)

    matched, same_video, _ = value("matched")
    shuffled, _, neighbour = value("shuffled")
    assert matched == pytest.approx(same_video, rel=1e-4)
    assert shuffled == pytest.approx(neighbour, rel=1e-4)
    assert shuffled != pytest.approx(same_video, rel=1e-3)


def test_a_term_may_have_a_view_of_its_own(tmp_path) -> None:
    terms = (Term("ce"), Term("pred", 1.0, Teacher("teacher", view="learner"), view=ViewSpec(k=2)))
    step = Step(Phase("p", 1, {"student": Learner(terms)}), tmp_path)
    own, other = step.objective.views
    assert [step.batch.clips[name].frames.shape[1] for name in (own, other)] == [4, 2]
    by_hand = cross_entropy(step.output("student", own).logits, step.batch.labels)
    by_hand = by_hand + divergence(
        step.output("student", other).logits, step.output("teacher", other).logits
    )
    assert number(step.loss()) == pytest.approx(number(by_hand), rel=1e-5)


def test_a_peer_with_a_view_of_its_own_is_a_teacher_with_that_view(
    tmp_path,
) -> None:
    learners = {
        "student": Learner((Term("pred", 1.0, "peer"),)),
        "peer": Learner((Term("ce"),), view=ViewSpec(k=2)),
    }
    step = Step(Phase("p", 1, learners), tmp_path)
    (name,) = set(step.objective.views) - {"student"}
    assert step.batch.clips[name].frames.shape[1] == 2
    by_hand = divergence(step.output("student").logits, step.output("peer", name).logits.detach())
    by_hand = by_hand + cross_entropy(step.output("peer", name).logits, step.batch.labels)
    assert number(step.loss()) == pytest.approx(number(by_hand), rel=1e-5)


def test_a_frozen_teachers_outputs_are_cached_and_its_frames_not_read_again(tmp_path) -> None:
    step = Step(Phase("p", 1, {"student": Learner((Term("pred", 1.0, "teacher"),))}), tmp_path)
    assert set(step.objective.views) == {"student"}
    assert list(tmp_path.rglob("*.safetensors"))


def test_the_outputs_of_an_average_are_computed_at_every_step(tmp_path) -> None:
    learners = {"student": Learner((Term("pred", 1.0, "peer"),))}
    step = Step(Phase("p", 1, learners, averages={"peer": Average("student", 0.9)}), tmp_path)
    assert set(step.objective.views) == {"student", "peer in evaluation"}
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_frozen_teacher_with_a_random_number_of_frames_is_computed_at_every_step(
    tmp_path,
) -> None:
    term = Term("pred", 1.0, Teacher("teacher", view=ViewSpec(k=(2, 6))))
    step = Step(Phase("p", 1, {"student": Learner((term,))}), tmp_path)
    assert len(step.objective.views) == 2
    assert not list(tmp_path.rglob("*.safetensors"))


def test_an_ensemble_gives_the_mean_probability_of_its_members(tmp_path) -> None:
    learners = {"student": Learner((Term("pred", 1.0, Teacher("both", view="learner")),))}
    step = Step(
        Phase("p", 1, learners, ensembles={"both": Ensemble(("teacher", "peer"))}), tmp_path
    )
    mean = (
        sum(step.output(name, "student").logits.double().sigmoid() for name in ("teacher", "peer"))
        / 2
    )
    by_hand = divergence(step.output("student").logits.double(), mean.log() - (1 - mean).log())
    assert number(step.loss()) == pytest.approx(number(by_hand), rel=1e-4)


def test_no_gradient_reaches_a_teacher_that_also_learns(tmp_path) -> None:
    learners = {"student": Learner((Term("rep", 1.0, "peer"),)), "peer": Learner((Term("ce"),))}
    step = Step(Phase("p", 1, learners), tmp_path)
    step.loss().backward()
    computed, student = step.gradients("peer"), step.gradients("student")
    cross_entropy(step.output("peer").logits, step.batch.labels).backward()
    assert_equal_gradients(computed, step.gradients("peer"))
    assert any(bool(gradient.any()) for gradient in student.values())


@pytest.mark.parametrize("dropout", [True, False])
def test_a_teacher_that_also_learns_may_be_asked_without_its_dropout(tmp_path, dropout) -> None:
    term = Term("pred", 1.0, Teacher("peer", dropout=dropout))
    learners = {"student": Learner((term,)), "peer": Learner((Term("ce"),))}
    step = Step(Phase("p", 1, learners), tmp_path, ["head.dropout=0.8"])
    student, peer = (step.experiment.models[name] for name in ("student", "peer"))
    student.eval()
    passes: list[bool] = []
    peer.encoder.register_forward_pre_hook(lambda encoder, _: passes.append(encoder.training))
    step.loss()
    value = float(step.sums["student/pred"]) / 16
    assert passes == ([True] if dropout else [True, False])
    assert all(module.training for module in peer.modules())
    peer.eval()
    clean = number(divergence(step.output("student").logits, step.output("peer").logits))
    assert (value == pytest.approx(clean, rel=1e-5)) is not dropout


# ---------------------------------------------------------------------------- the optimizer


def parameter(value: float = 1.0) -> nn.Parameter:
    return nn.Parameter(torch.full((2, 2), value))


def moved(parameters, matrices=(), *, own=None, groups=(), **settings: float) -> dict[str, float]:
    """Returns how far a step without gradients moves each parameter of ones: by the penalty alone."""
    optimizer = Optimizer(parameters, matrices, Training(**settings), overrides=own, groups=groups)  # type: ignore[arg-type]
    optimizer.step(sum(0 * p.sum() for p in parameters.values()), 0)
    return {name: float(1 - p.detach()[0, 0]) for name, p in parameters.items()}


def test_a_loss_has_the_learning_rate_and_weight_decay_of_its_own_group() -> None:
    weight, bank, plain = parameter(), parameter(), parameter()
    named = {"student.head": weight, "student.loss.bank": bank, "student.loss.plain": plain}
    groups = [
        {"params": [bank], "lr": 0.25, "weight_decay": 0.5},
        {"params": [plain], "weight_decay": 0.5},
    ]
    found = moved(named, [weight], groups=groups, learning_rate=0.01, l2=0.1)
    assert found == pytest.approx(
        {"student.head": 0.01, "student.loss.bank": 0.25, "student.loss.plain": 0.01}
    )
    found = moved({"student.loss.bank": parameter()}, learning_rate=0.01, l2=0.1)
    assert found == {"student.loss.bank": 0.0}, "by default a loss has no weight decay"


def test_a_learner_may_have_its_own_learning_rate_and_penalty() -> None:
    one, other = parameter(), parameter()
    own = {"student.head": {"learning_rate": 0.25}, "peer.head": {"l2": 0.0}}
    found = moved(
        {"student.head": one, "peer.head": other}, [one, other], own=own, learning_rate=0.01, l2=0.1
    )
    assert found == pytest.approx({"student.head": 0.25, "peer.head": 0.0})


def test_every_learning_rate_decays_by_the_runs_staircase() -> None:
    one, other = parameter(), parameter()
    named = {"a.w": one, "b.w": other}
    optimizer = Optimizer(
        named,
        [],
        Training(learning_rate=0.01, decay=0.5, decay_examples=10),
        overrides={"b.w": {"learning_rate": 0.1}},
    )
    optimizer.step(one.sum() + other.sum(), 25)
    assert float(1 - one.detach()[0, 0]) == pytest.approx(0.01 / 4, rel=1e-3)
    assert float(1 - other.detach()[0, 0]) == pytest.approx(0.1 / 4, rel=1e-3)


def test_a_learner_may_have_its_own_clip_norm() -> None:
    one, other = parameter(), parameter()
    named = {"a.w": one, "b.w": other}
    optimizer = Optimizer(named, [], Training(clip=1.0), overrides={"b.w": {"clip": 0.0}})
    optimizer.step(100 * one.sum() + 100 * other.sum(), 0)
    assert float(one.grad.norm()) == pytest.approx(1.0)
    assert float(other.grad.norm()) == pytest.approx(200.0)


def test_only_the_learner_with_a_learning_rate_of_zero_stays_unchanged(tmp_path) -> None:
    learners = {
        "student": Learner((Term("ce"),)),
        "peer": Learner((Term("ce"),), optimizer={"learning_rate": 0.0}),
    }
    spec = declared(NETWORKS, [Phase("p", 1, learners)], "student", SETTINGS)
    experiment = assemble(spec, open_data(spec), torch.device("cpu"))
    before = {
        n: [p.detach().clone() for p in experiment.models[n].parameters()]
        for n in ("student", "peer")
    }
    fit(experiment, metrics_for(experiment), TeacherStore(tmp_path), Checkpoints(None, spec.key))
    still = {n: all(map(torch.equal, before[n], experiment.models[n].parameters())) for n in before}
    assert still == {"student": False, "peer": True}


class Counting(LabelLoss):
    """Cross-entropy on a learned scale, which counts steps and how often it sees each video."""

    requirements = Requirements(frozenset({"labels", "logits"}))

    def __init__(self, context) -> None:
        super().__init__(context)
        self.videos = context.videos
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("seen", torch.zeros(context.videos))

    def optimizer_groups(self):
        return [{"params": [self.scale], "lr": 0.5, "weight_decay": 0.0}]

    def forward(self, output, batch):
        with torch.no_grad():
            self.seen[batch.videos] += 1
        return self.scale.square() * cross_entropy(output.logits, batch.labels)

    def after_step(self) -> None:
        self.steps += 1


def test_a_loss_has_trained_weights_buffers_and_a_call_after_every_step(tmp_path) -> None:
    component = Component("label-loss", "counting", Counting, "tests", "1")
    phase = Phase("p", 2, {"student": Learner((Term("counting"),))})
    spec = declared(NETWORKS, [phase], "student", SETTINGS, [component], loss="counting")
    experiment = assemble(spec, open_data(spec), torch.device("cpu"))
    fit(experiment, metrics_for(experiment), TeacherStore(tmp_path), Checkpoints(None, spec.key))
    loss = experiment.losses[LossKey("student", "counting")]
    assert loss.videos == 64
    assert int(loss.steps) == 8
    assert loss.seen.tolist() == [2.0] * 64
    assert abs(float(loss.scale.detach()) - 1) > 0.3
