"""A damaged checkpoint or stored teacher is reported and replaced; the run does not fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from running import run_experiment

from distillbench.config.run_spec import RunSpec
from distillbench.experiments.context import RunContext
from distillbench.storage import load_tensors, save_tensors
from distillbench.training.callbacks import Observer

Make = Callable[..., RunSpec]
Damage = Callable[[dict[str, Any], dict[str, Any]], object]


class Recorder(Observer):
    """Records the messages, and stops the run after a number of steps."""

    def __init__(self, steps: int = 10_000) -> None:
        self.steps_left = steps
        self.messages = ""

    def step_ended(self) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise KeyboardInterrupt

    def message(self, message: str) -> None:
        self.messages += message + "\n"


def damage_file(path: Path, damage: Damage) -> None:
    tensors, about = load_tensors(path)
    damage(tensors, about)
    path.unlink()
    save_tensors(path, tensors, about)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


STATES: dict[str, Damage] = {
    "no progress": lambda _, about: about.pop("progress"),
    "a field of a newer version": lambda _, about: about["progress"].update(x=1),
    "a phase beyond the last": lambda _, about: about["progress"].update(phase=9),
    "a negative step": lambda _, about: about["progress"].update(step=-1),
    "a history of numbers": lambda _, about: about["progress"].update(history=[1]),
    "a history without numbers": lambda _, about: about["progress"]["history"][0].update(
        seconds="x"
    ),
    "no weights": lambda tensors, _: [
        tensors.pop(name) for name in list(tensors) if name.startswith("model.")
    ],
    "weights of another shape": lambda tensors, _: tensors.update(
        {
            name: t[:1]
            for name, t in tensors.items()
            if name.startswith("model.student.head") and t.dim()
        }
    ),
    "weights that are NaN": lambda tensors, _: [
        t.fill_(float("nan")) for name, t in tensors.items() if name.startswith("model.student")
    ],
    "weights of an extra network": lambda tensors, _: tensors.update(
        {"model.student.other": torch.zeros(1)}
    ),
    "no best weights": lambda tensors, _: [
        tensors.pop(name) for name in list(tensors) if name.startswith("best.")
    ],
}


@pytest.mark.parametrize("damage", [*STATES.values(), None], ids=[*STATES, "half a file"])
def test_a_run_with_a_damaged_checkpoint_reports_it_and_starts_from_the_beginning(
    make_spec: Make, tmp_path: Path, damage: Damage | None
) -> None:
    spec = make_spec(schedule="scratch")
    whole = run_experiment(spec, RunContext(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        run_experiment(spec, RunContext(tmp_path / "broken"), Recorder(steps=5))
    (path,) = (tmp_path / "broken" / "checkpoints").glob("*.safetensors")
    truncate(path) if damage is None else damage_file(path, damage)
    recorder = Recorder()
    again = run_experiment(spec, RunContext(tmp_path / "broken"), recorder)
    assert path.name in recorder.messages
    assert "the run starts from the beginning" in recorder.messages
    assert again.content["metrics"] == whole.content["metrics"]
    assert not path.exists()


TEACHERS: dict[str, Damage] = {
    "no weights": lambda tensors, _: tensors.pop(next(iter(tensors))),
    "weights of another shape": lambda tensors, _: tensors.update(
        {name: t[:1] for name, t in tensors.items() if t.dim()}
    ),
    "weights that are NaN": lambda tensors, _: [t.fill_(float("nan")) for t in tensors.values()],
    "weights of an extra network": lambda tensors, _: tensors.update({"other": torch.zeros(1)}),
    "a history of numbers": lambda _, about: about.update(history=[1]),
    "no history": lambda _, about: about.pop("history"),
    "another teacher's key": lambda _, about: about.update(key="0" * 12),
}


@pytest.mark.parametrize("damage", [*TEACHERS.values(), None], ids=[*TEACHERS, "half a file"])
def test_a_damaged_teacher_is_reported_and_trained_again(
    make_spec: Make, tmp_path: Path, damage: Damage | None
) -> None:
    first = run_experiment(make_spec(schedule="serial"), RunContext(tmp_path))
    (path,) = (tmp_path / "teachers").glob("*.safetensors")
    truncate(path) if damage is None else damage_file(path, damage)
    recorder = Recorder()
    again = run_experiment(make_spec(schedule="serial"), RunContext(tmp_path, again=True), recorder)
    assert path.name in recorder.messages
    assert "the teacher is trained again" in recorder.messages
    assert again.content["metrics"] == first.content["metrics"]
    assert json.dumps(load_tensors(path)[1]["history"])


def test_a_folder_in_place_of_a_checkpoint_or_teacher_does_not_fail_the_run(
    make_spec: Make, tmp_path: Path
) -> None:
    spec = make_spec(schedule="serial")
    whole = run_experiment(spec, RunContext(tmp_path / "whole"))
    (teacher,) = (tmp_path / "whole" / "teachers").glob("*.safetensors")
    for place in (f"checkpoints/{spec.key}.safetensors", f"teachers/{teacher.name}"):
        (tmp_path / "odd" / place).mkdir(parents=True)
    recorder = Recorder()
    odd = run_experiment(spec, RunContext(tmp_path / "odd"), recorder)
    assert odd.content["metrics"] == whole.content["metrics"]
    assert torch.equal(
        *(next(iter(load_tensors(r.student_path())[0].values())) for r in (whole, odd))
    )
    assert "no checkpoint" in recorder.messages
    assert "the teacher is not stored" in recorder.messages
