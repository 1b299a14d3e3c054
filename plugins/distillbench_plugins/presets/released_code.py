"""The settings of the code that the paper's authors released later.

It covers a part of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping

from distillbench import hookimpl
from distillbench.interfaces import Preset

_SLOTS = 300


class ReleasedCode(Preset):
    """What the authors' released code does, where it differs from the text."""

    def settings(self, k: int) -> Mapping[str, object]:
        """Returns the settings; the numbers of the rows are those of docs/paper.md."""
        architecture = {
            f"{network}.{knob}": value
            for network in ("teacher", "student")
            for knob, value in {
                "cell_size": 1024,
                "layers": 2,
                "state": "concat",
                "init": "glorot",
            }.items()  # rows 1, 22
        }
        return architecture | {
            "teacher.block_count": 20,  # row 2
            "student.block_count": 5,
            "teacher.zero_slots": _SLOTS,  # row 3: zero padding is encoded, lengths are clamped
            "student.zero_slots": k,
            "selector": "every-n",  # row 4: slots 0, n, 2n of the padded tensor
            "selector.slots": _SLOTS,
            "head": "moe",  # row 9
            "head.mixtures": 2,
            "head.dropout": 0.0,  # row 16: accepted, never applied
            "schedule.head": "separate",  # row 10: two heads
            "schedule.finetune_head": "own",  # row 11
            "schedule.finetune_epochs": 3,  # row 20
            "loss.rep": 2.0,  # row 13: counted twice
            "loss.ce": 1.0,
            "loss.pred": 1.0,
            "loss.pred.reduction": "sum",  # row 12
            "loss.pred.divergence": "categorical",  # row 14
            "training.l2": 2e-8,  # row 15
            "training.decay": 1.0,  # row 17: off
            "training.clip": 1.0,  # row 18
            "training.epochs": 5,
            "training.batch_size": 256,
            "training.learning_rate": 1e-3,
        }


@hookimpl
def presets() -> dict[str, type[Preset]]:
    """Offers `released-code`."""
    return {"released-code": ReleasedCode}
