"""For each of somebody's methods a change that breaks one promise, and only that promise's check sees it."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from distillbench.registry.discovery import Component
from distillbench.registry.kinds import KINDS
from distillbench.testing.promises import Subject
from distillbench.testing.runner import verdicts

PROJECT = Path(__file__).resolve().parent / "project" / "fieldwork"

VIOLATIONS = [
    ("gate", "learned-selector", "keeps_at_most_k", "min(self.k, scores", "min(self.k + 1, scores"),
    (
        "sampler",
        "learned-selector",
        "draws_from_its_generator_alone",
        "generator.rand(scores.shape[1]).to(scores)",
        "torch.rand_like(scores)",
    ),
    (
        "sampler",
        "label-loss",
        "declares_what_it_needs",
        '"logits", "selection", "batch"',
        '"logits", "batch"',
    ),
    (
        "slow_start",
        "student",
        "exits_end_where_it_ends",
        "longest).summary,",
        "longest).summary * 2,",
    ),
    ("slow_start", "label-loss", "is_a_mean_over_the_batch", "/ every[..., 0].numel()", ""),
    (
        "confident",
        "exit-policy",
        "its_tuning_is_stored",
        'self.register_buffer("threshold", torch.tensor(0.9))',
        "self.threshold = torch.tensor(0.9)",
    ),
    (
        "peers",
        "schedule",
        "uses_the_losses_that_it_is_given",
        "(*self.objective.on_labels(), *matching)",
        "(Term(self.objective.label_loss, 1.0, others[0]), *matching)",
    ),
    ("assistants", "schedule", "declares_what_can_be_run", "[first, *taught]", "[*taught, first]"),
    ("born_again", "schedule", "declares_what_can_be_run", ', starts={"parent": "student"}', ""),
    (
        "mean_teacher",
        "schedule",
        "epochs_add_up",
        'Phase("student", epochs,',
        'Phase("student", epochs + epochs // 2,',
    ),
    ("curriculum", "schedule", "declares_what_can_be_run", 'f"{view.k} frames"', '"frames"'),
    ("any_k", "schedule", "declares_what_can_be_run", "k=(least, most)", "k=(most, least)"),
    (
        "two_teachers",
        "schedule",
        "declares_what_can_be_run",
        'Ensemble(("first", "second"))',
        'Ensemble(("first", "third"))',
    ),
    (
        "netvlad",
        "student",
        "every_weight_gets_a_gradient",
        "super().__init__()",
        "super().__init__(); self.spare = nn.Linear(2, 2)",
    ),
    (
        "crd",
        "matching-loss",
        "groups_its_weights",
        '"params": list(self.parameters())',
        '"params": list(self.ours.parameters())',
    ),
    (
        "crd",
        "matching-loss",
        "keeps_its_state_in_buffers",
        'self.register_buffer("bank", normalize(torch.randn(context.videos, width), dim=1))',
        "self.bank = normalize(torch.randn(context.videos, width), dim=1)",
    ),
    (
        "points",
        "data",
        "two_opens_agree",
        'f"points-{split}-{count}-{seed}"',
        'f"points-{id(self)}"',
    ),
    (
        "points",
        "label-loss",
        "is_a_mean_over_the_batch",
        "batch.labels.argmax(1))",
        'batch.labels.argmax(1), reduction="sum")',
    ),
    ("points", "metric", "being_right_is_best", "float(min(", "-float(min("),
    (
        "npy_folder",
        "data",
        "frames_asked_for_are_the_frames_given",
        "[kept.numpy()]",
        "[: len(kept)]",
    ),
    (
        "bars",
        "report",
        "refuses_runs_that_are_unfit",
        'raise self.lacking("bars need runs")',
        "raise ValueError",
    ),
    (
        "archive",
        "exporter",
        "refuses_what_it_did_not_write",
        "raise DataError(",
        "raise ValueError(",
    ),
    (
        "one_by_one",
        "executor",
        "tells_of_a_run_that_dies",
        "event = Lost(",
        "event = Finished(self._key) or Lost(",
    ),
]


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Loads a module of the distribution with one change."""

    def load(module: str, before: str, after: str) -> types.ModuleType:
        text = (PROJECT / f"{module}.py").read_text(encoding="utf-8")
        assert text.count(before) == 1, "the change is one change"
        path = tmp_path / f"violating_{module}.py"
        path.write_text(text.replace(before, after), encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        sys.modules.pop(path.stem, None)
        return __import__(path.stem)

    yield load
    for name in [name for name in sys.modules if name.startswith("violating_")]:
        del sys.modules[name]


def test_every_module_has_a_violation() -> None:
    assert {module for module, *_ in VIOLATIONS} == {p.stem for p in PROJECT.glob("*.py")} - {
        "__init__"
    }


@pytest.mark.parametrize(
    ("module", "kind", "check", "before", "after"),
    VIOLATIONS,
    ids=lambda value: str(value) if str(value).isidentifier() else "",
)
def test_its_own_check_alone_sees_a_violation(
    module: str, kind: str, check: str, before: str, after: str, changed, arrays: Path
) -> None:
    offered = getattr(changed(module, before, after), KINDS[kind].hook)()
    ((name, cls),) = offered.items()
    data_dir = str(arrays) if module == "npy_folder" else None
    subject = Subject(Component(kind, name, cls, "fieldwork", "1"), (), data_dir)
    broken = {
        verdict.check.name: verdict.received
        for verdict in verdicts(subject)
        if verdict.status == "broken"
    }
    assert broken.keys() == {check}, broken
