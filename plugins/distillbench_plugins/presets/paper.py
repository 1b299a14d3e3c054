"""The paper's own settings (arXiv 1902.10640), where its text is silent this project's.

And its tables as sweep files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from distillbench import hookimpl
from distillbench.interfaces import Preset


class Paper(Preset):
    """The paper's settings, and this project's choice where the paper's text is silent."""

    def settings(self, k: int) -> Mapping[str, object]:
        """Returns the settings; the numbers of the rows are those of docs/paper.md."""
        architecture = {
            f"{network}.{knob}": value
            for network in ("teacher", "student")
            for knob, value in {
                "cell_size": 1024,
                "layers": 2,
                "state": "concat",  # row 1
                "block_count": 0,  # row 2: blocks have a length
                "zero_slots": 0,  # row 3: padding never changes the result
                "init": "glorot",  # row 22
            }.items()
        }
        return architecture | {
            "teacher.block_length": 20,  # row 2
            "student.block_length": 5 if k % 5 == 0 else 3,  # row 2
            "selector": "uniform",  # row 4
            "head": "moe",  # row 9
            "head.mixtures": 2,  # row 9
            "head.dropout": 0.5,  # row 16
            "schedule.finetune_head": (
                "teacher"
            ),  # row 11; row 10 is each schedule's own default: copy or tied
            "schedule.finetune_epochs": 3,  # row 20
            "loss.rep": 1.0,  # row 13
            "loss.ce": 1.0,
            "loss.pred": 1.0,
            "loss.pred.reduction": "mean",  # row 12
            "loss.pred.divergence": "bernoulli",  # row 14
            "training.l2": 2e-8,  # row 15: 2 x (1e-8 / 2) ||W||^2 on the head's matrices
            "training.decay": 0.95,  # row 17
            "training.decay_examples": 4_000_000,
            "training.clip": 1.0,  # row 18
            "training.epochs": 5,
            "training.batch_size": 256,
            "training.learning_rate": 1e-3,
        }


@hookimpl
def presets() -> dict[str, type[Preset]]:
    """Offers `paper`."""
    return {"paper": Paper}


@hookimpl
def sweep_files() -> dict[str, Path]:
    """Offers the paper's tables and figures, and the controls that it lacks."""
    return {path.stem: path for path in sorted(_QUESTIONS.glob("*.toml"))}


_QUESTIONS = Path(__file__).parents[1] / "sweeps"
