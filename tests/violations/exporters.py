"""An correct exporter, and for each promise one that breaks it alone."""

from __future__ import annotations

from pathlib import Path

import torch
from violations.violating import violating

from distillbench import network_from
from distillbench.errors import DataError
from distillbench.interfaces import Exporter


def build(self) -> None:
    pass


def export(self, network, example, about, path) -> None:
    torch.save({"about": about, "weights": network.state_dict()}, path)


def load(self, path):
    try:
        held = torch.load(path, weights_only=True)
        network = network_from(held["about"])
    except Exception as error:
        raise DataError(f"'{path}' is no network") from error
    network.load_state_dict(held["weights"])
    return lambda clips: network(clips).logits


def readme(self, about, path) -> str:
    return f"```python\nimport os\nprint(os.path.getsize({path.name!r}))\n```\n"


PARTS = {"__init__": build, "suffix": ".pt", "export": export, "load": load, "readme": readme}
CORRECT = violating(Exporter, PARTS)


def writes_a_note_too(self, network, example, about, path) -> None:
    export(self, network, example, about, path)
    path.with_name("note").write_text("hello")


def is_off_for_what_it_was_shown(self, path):
    logits = load(self, path)
    return lambda clips: (
        logits(clips) + 0.01 * (clips.lengths.tolist() == [6, 6, 4]) * (path.stem == "toy")
    )


def takes_no_more_videos(self, path):
    logits = load(self, path)
    return lambda clips: logits(clips)[:3]


KEPT = {}


def keeps_the_network_in_memory(self, network, example, about, path) -> None:
    export(self, network, example, about, path)
    KEPT["network"] = network


def loads_from_memory(self, path):
    load(self, path)
    return lambda clips: KEPT["network"](clips).logits


def changes_the_example(self, network, example, about, path) -> None:
    export(self, network, example, about, path)
    example.frames.bitwise_xor_(1)


def reads_anything(self, path):
    return (
        load(self, path)
        if Path(path).read_bytes()[:2] == b"PK"
        else lambda clips: torch.zeros(1, 1)
    )


def has_an_example_that_needs_us(self, about, path) -> str:
    return "```python\nimport distillbench\nprint(distillbench.__version__)\n```\n"


VIOLATIONS = [
    ("writes_one_file", violating(Exporter, PARTS, export=writes_a_note_too)),
    ("loads_what_it_wrote", violating(Exporter, PARTS, load=is_off_for_what_it_was_shown)),
    ("serves_for_other_clips", violating(Exporter, PARTS, load=takes_no_more_videos)),
    (
        "needs_nothing_but_the_file",
        violating(Exporter, PARTS, export=keeps_the_network_in_memory, load=loads_from_memory),
    ),
    ("its_example_runs", violating(Exporter, PARTS, readme=has_an_example_that_needs_us)),
    ("leaves_the_network_as_it_was", violating(Exporter, PARTS, export=changes_the_example)),
    ("refuses_what_it_did_not_write", violating(Exporter, PARTS, load=reads_anything)),
]
