"""The rows of docs/paper.md, walked one by one for both presets."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.config.run_spec import RunSpec
from distillbench.config.schedule_rules import teacher_of
from distillbench.evaluation.evaluate import Evaluation
from distillbench.interfaces import (
    ClipGenerator,
    Codec,
    Copy,
    DataSet,
    Init,
    Learner,
    Teacher,
    Term,
    Tie,
)
from distillbench.networks import probe
from distillbench.registry.discovery import Registry, discover


def preset(
    registry: Registry, name: str, schedule: str = "serial", loss: str = "rep,ce,pred", k: int = 30
) -> RunSpec:
    return specs(
        [flags({"preset": name, "schedule": schedule, "loss": loss, "k": k, "data": "yt8m"}, [])],
        registry,
    )[0]


@pytest.fixture
def paper(registry: Registry) -> RunSpec:
    return preset(registry, "paper")


@pytest.fixture
def released(registry: Registry) -> RunSpec:
    return preset(registry, "released-code")


def test_row_1_the_state_is_every_layers_cell_and_hidden_state(
    paper: RunSpec, released: RunSpec
) -> None:
    for spec in (paper, released):
        assert spec.teacher.knobs["state"] == spec.student.knobs["state"] == "concat"
        assert (spec.teacher.knobs["cell_size"], spec.teacher.knobs["layers"]) == (1024, 2)


@pytest.mark.parametrize(("k", "length"), [(6, 3), (10, 5), (15, 5), (20, 5), (30, 5)])
def test_row_2_blocks_have_a_length_in_the_paper(registry: Registry, k: int, length: int) -> None:
    spec = preset(registry, "paper", k=k)
    assert (spec.teacher.knobs["block_length"], spec.student.knobs["block_length"]) == (20, length)
    assert spec.teacher.knobs["block_count"] == spec.student.knobs["block_count"] == 0


def test_row_2_blocks_have_a_count_in_the_released_code(released: RunSpec) -> None:
    assert (released.teacher.knobs["block_count"], released.student.knobs["block_count"]) == (20, 5)


def test_row_3_padding_is_masked_or_computed_with(paper: RunSpec, released: RunSpec) -> None:
    assert paper.teacher.knobs["zero_slots"] == paper.student.knobs["zero_slots"] == 0
    assert (released.teacher.knobs["zero_slots"], released.student.knobs["zero_slots"]) == (300, 30)


def test_row_4_uniform_is_on_the_true_length_or_on_slots(paper: RunSpec, released: RunSpec) -> None:
    assert paper.selector.name == "uniform"
    assert not paper.selector.knobs["jitter"]
    assert (released.selector.name, released.selector.knobs["slots"]) == ("every-n", 300)


def test_row_9_the_head_is_a_mixture_of_two_experts(paper: RunSpec, released: RunSpec) -> None:
    for spec in (paper, released):
        assert (spec.head.name, spec.head.knobs["mixtures"]) == ("moe", 2)


def test_row_10_the_output_layer_is_shared_or_not(registry: Registry) -> None:
    heads = {
        (name, schedule): preset(registry, name, schedule).phases[-1].learners["student"].init.head
        for name in ("paper", "released-code")
        for schedule in ("serial", "parallel")
    }
    assert heads == {
        ("paper", "serial"): Copy("teacher"),
        ("paper", "parallel"): Tie("teacher"),
        ("released-code", "serial"): "keep",
        ("released-code", "parallel"): "keep",
    }


def test_rows_11_and_20_stage_two_has_three_epochs_and_a_classifier(registry: Registry) -> None:
    for name, head in (("paper", Copy("teacher")), ("released-code", "keep")):
        stage = preset(registry, name, loss="rep").phases[-1]
        assert (stage.name, stage.epochs) == ("finetune", 3)
        assert dict(stage.learners) == {"student": Learner((Term("ce"),), Init(head=head))}


def test_row_12_reductions(paper: RunSpec, released: RunSpec) -> None:
    assert paper.losses["pred"].knobs["reduction"] == "mean"
    assert released.losses["pred"].knobs["reduction"] == "sum"


def test_row_13_weights(paper: RunSpec, released: RunSpec) -> None:
    assert paper.weights == {"rep": 1.0, "ce": 1.0, "pred": 1.0}
    assert released.weights == {"rep": 2.0, "ce": 1.0, "pred": 1.0}


def test_row_14_the_divergence_of_predictions(paper: RunSpec, released: RunSpec) -> None:
    assert paper.losses["pred"].knobs["divergence"] == "bernoulli"
    assert released.losses["pred"].knobs["divergence"] == "categorical"


def test_rows_15_17_and_18_penalty_decay_and_clipping(paper: RunSpec, released: RunSpec) -> None:
    for spec in (paper, released):
        assert (spec.training.l2, spec.training.clip) == (2e-8, 1.0)
        assert (spec.training.batch_size, spec.training.epochs, spec.training.learning_rate) == (
            256,
            5,
            1e-3,
        )
    assert (paper.training.decay, paper.training.decay_examples) == (0.95, 4_000_000)
    assert released.training.decay == 1.0


def test_row_16_dropout_is_on_the_heads_input_or_nowhere(paper: RunSpec, released: RunSpec) -> None:
    assert (paper.head.knobs["dropout"], released.head.knobs["dropout"]) == (0.5, 0.0)
    for spec in (paper, released):
        assert spec.teacher.knobs["dropout"] == spec.student.knobs["dropout"] == 0.0


def test_row_19_rgb_and_audio_are_joined_and_normalised_together(paper: RunSpec) -> None:
    assert paper.data.knobs["features"] == "rgb,audio"
    assert Codec().normalise == "l2"


def test_row_22_the_lstm_starts_from_glorot_kernels(paper: RunSpec, released: RunSpec) -> None:
    for spec in (paper, released):
        assert spec.teacher.knobs["init"] == spec.student.knobs["init"] == "glorot"


def test_row_26_the_fraction_of_the_training_data_is_the_data_sets(paper: RunSpec) -> None:
    assert paper.data.knobs["fraction"] == 1.0
    assert issubclass(paper.data.component.cls, DataSet)


def test_row_27_the_teacher_in_parallel_does_not_feel_the_matching(registry: Registry) -> None:
    phase = preset(registry, "paper", "parallel").phases[0]
    assert phase.learners["teacher"] == Learner((Term("ce"),))
    teachers = {term.loss: teacher_of(term) for term in phase.learners["student"].terms}
    assert teachers == {"ce": None, "rep": Teacher("teacher"), "pred": Teacher("teacher")}


def test_rows_5_to_8_which_frames_each_selector_keeps(paper: RunSpec) -> None:
    lengths, fixed = torch.tensor([20, 4]), ClipGenerator(torch.tensor([1, 2]))
    kept = {}
    for name in ("uniform", "random", "middle", "first-middle-last"):
        component = discover().find("selector", name)
        assert component is not None
        selector = component.cls(8)
        kept[name] = [
            row[row >= 0].tolist() for row in selector.select(lengths, None, fixed, False)
        ]
    assert all(
        frames[1] == [0, 1, 2, 3] for frames in kept.values()
    )  # row 5: a video shorter than k keeps them all
    assert kept["uniform"][0] == [i * 20 // 8 for i in range(8)]
    assert kept["random"][0] == sorted(set(kept["random"][0]))
    assert len(kept["random"][0]) == 8
    assert kept["middle"][0] == list(range(6, 14))
    assert kept["first-middle-last"][0] == [0, 1, 2, 9, 10, 17, 18, 19]  # 8 = 3 + 2 + 3


def test_row_21_the_intermediate_match_is_a_loss_of_its_own(registry: Registry) -> None:
    assert preset(registry, "paper", loss="rep-intermediate,ce").losses.keys() == {
        "rep-intermediate",
        "ce",
    }


def test_row_23_both_rules_for_empty_classes_are_reported(registry: Registry) -> None:
    assert {"map_at_20", "map_at_20_all_classes", "map"} <= set(registry.names("metric"))


def test_row_24_reading_model_and_metric_time_are_apart() -> None:
    assert {"reading", "model", "metric"} <= {each.name for each in fields(Evaluation)}


def test_row_25_no_preset_names_a_number_of_classes_or_a_width(
    paper: RunSpec, released: RunSpec
) -> None:
    for spec in (paper, released):
        assert spec.data.knobs["classes"] is None
        assert not any(
            name.startswith("data.")
            for name, source in spec.sources.items()
            if source.startswith("preset")
        )


@pytest.mark.parametrize("name", ["paper", "released-code"])
@pytest.mark.parametrize("data", ["digits", "yt8m", "audioset", "synthetic"])
def test_what_a_preset_plans_on_a_data_set_of_ours_can_be_built(
    registry: Registry, name: str, data: str
) -> None:
    asked = {"preset": name, "data": data}
    (spec,) = specs([flags(asked, ["teacher.cell_size=8", "student.cell_size=8"])], registry)
    for network in (spec.teacher, spec.student):
        assert probe(network.build(16), 16, 5).summary == 4 * 8
    for selector in (spec.selector, spec.train_selector, spec.teacher_selector):
        assert (
            selector.build(spec.k)
            .select(torch.tensor([20]), None, ClipGenerator(torch.tensor([1])), False)
            .ndim
            == 2
        )
