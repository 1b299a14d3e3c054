"""What an exporter promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distillbench.config.run_spec import Choice
from distillbench.errors import ConfigError, DistillbenchError, NotApplicableError
from distillbench.evaluation.metric_set import OURS
from distillbench.experiments.network_description import description
from distillbench.interfaces import Clips, Codec, Exporter
from distillbench.networks import Model, probe
from distillbench.registry.discovery import Registry, discover
from distillbench.testing import toys
from distillbench.testing.promises import (
    Broken,
    Subject,
    Unchecked,
    Unclaimed,
    expect,
    seeded,
)

_TOLERANCE = 1e-4
_ROUGHLY = 0.1
_EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.S | re.M)
_SECONDS = 120.0
_WITHOUT_US = "import sys; sys.modules['distillbench'] = None\n"
_CODEC = Codec(scale=0.03, offset=-4.0, normalise="none")


@dataclass(frozen=True)
class _Toy:
    """A network of installed components, its description, and clips in stored form."""

    model: Model
    about: Mapping[str, Any]
    example: Clips
    others: tuple[Clips, ...]


def _toy() -> _Toy:
    registry = discover()
    encoder, head = (_smallest(registry, kind) for kind in ("student", "head"))
    with seeded(3):
        built = encoder.build(toys.WIDTH)
        summary = probe(built, toys.WIDTH, toys.CLASSES).summary
        model = Model(built, head.build(summary, toys.CLASSES), _CODEC).eval()
    described = {
        **description(encoder, head, {"toy": toys.WIDTH}, _CODEC, toys.CLASSES, None, "fp32"),
        "format": 1,
        "run": "0123456789ab",
        "network": "student",
        "label_kind": "multi-label",
        "selector": {"name": "toy-selector", "knobs": {}, "rule": "The first frames."},
        "k": 6,
        "frames": 6,
        "metrics": {"quality": 0.5},
    }
    batches = ((6, 6, 4), (6, 3, 1, 5, 2), (2,), (4, 4))
    example, *others = (_stored(lengths, seed) for seed, lengths in enumerate(batches))
    return _Toy(model, described, example, tuple(others))


def _smallest(registry: Registry, kind: str) -> Choice:
    """Returns what has the fewest weights, which is written fastest."""
    given = (toys.WIDTH,) if kind == "student" else (toys.WIDTH, toys.CLASSES)
    choices = [
        Choice(component, dict(getattr(component.cls, "check_knobs", {})))
        for component in registry
        if component.kind == kind and component.distribution == OURS
    ]
    return min(choices, key=lambda choice: _weights(choice.build(*given)))


def _weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _stored(lengths: tuple[int, ...], seed: int) -> Clips:
    """Makes clips in stored form, of frames that differ by class."""
    clips = toys.clips(lengths, seed=seed)
    stored = (clips.frames * 200 + 128).clamp(0, 255).to(torch.uint8)
    return replace(clips, frames=stored * clips.mask()[:, :, None])


@contextmanager
def _written(subject: Subject) -> Iterator[tuple[Exporter, _Toy, Path]]:
    """Has a toy written."""
    toy, exporter = _toy(), subject.build()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"toy{exporter.suffix}")
        _export(exporter, toy, path)
        yield exporter, toy, path


def _export(exporter: Exporter, toy: _Toy, path: Path) -> None:
    try:
        exporter.export(toy.model, toy.example, toy.about, path)
    except NotApplicableError as error:
        raise Broken(f"it cannot write an encoder and a head: {error}") from error
    except ConfigError as error:  # a library that is not installed
        raise Unchecked(str(error)) from error


def writes_one_file(subject: Subject) -> None:
    """It writes the given file, and nothing beside it."""
    with _written(subject) as (_, _, path):
        found = sorted(os.listdir(path.parent))
        expect(found == [path.name], f"{', '.join(found) or 'nothing'}; {path.name} was expected")
        expect(path.is_file() and path.stat().st_size > 0, "it is empty, or no file")


def loads_what_it_wrote(subject: Subject) -> None:
    """What it reads back makes the network's logits of the clips that it was shown."""
    with _written(subject) as (exporter, toy, path):
        _compare(exporter, toy, path, (toy.example,))


def serves_for_other_clips(subject: Subject) -> None:
    """What it reads back takes more or fewer videos, and fewer frames, than its example."""
    with _written(subject) as (exporter, toy, path):
        _compare(exporter, toy, path, toy.others)


def needs_nothing_but_the_file(subject: Subject) -> None:
    """Another one of it reads the file, wherever it lies and whatever became of the network."""
    with _written(subject) as (_, toy, path), tempfile.TemporaryDirectory() as elsewhere:
        moved = path.rename(Path(elsewhere, f"moved{path.suffix}"))
        expected = toy.model(toy.example).logits.detach()
        with torch.no_grad():
            for weight in toy.model.parameters():
                weight.zero_()
        found = subject.build().load(moved)(toy.example)
        _agree(subject.build(), found, expected, "the file alone")


def _compare(exporter: Exporter, toy: _Toy, path: Path, batches: tuple[Clips, ...]) -> None:
    loaded = exporter.load(path)
    for clips in batches:
        with torch.no_grad():
            expected, found = toy.model(clips).logits, loaded(clips)
        what = f"{len(clips.lengths)} videos of {clips.lengths.tolist()} frames"
        expect(found.shape == expected.shape, f"logits {tuple(found.shape)} of {what}")
        _agree(exporter, found, expected, what)


def _agree(exporter: Exporter, found: Tensor, expected: Tensor, what: str) -> None:
    difference = float((found - expected).abs().max())
    # Other precisions round: by a part of how far the logits are apart.
    apart = float(expected.max() - expected.min())
    allowed = _TOLERANCE if exporter.precision == "fp32" else _ROUGHLY * apart
    expect(difference <= allowed, f"logits that differ by up to {difference:.3g} of {what}")


def its_example_runs(subject: Subject) -> None:
    """The first Python example of its readme runs beside the file, without distillbench."""
    with _written(subject) as (exporter, toy, path):
        text = exporter.readme(toy.about, path)
        if not text:
            raise Unclaimed("it has no readme")
        example = _EXAMPLE.search(text)
        expect(example is not None, "its readme has no block of Python")
        assert example is not None
        command = [sys.executable, "-c", _WITHOUT_US + example.group(1)]
        done = subprocess.run(
            command, cwd=path.parent, capture_output=True, text=True, timeout=_SECONDS
        )
        expect(done.returncode == 0, f"it ends with {done.stderr.strip()[-300:] or 'an error'}")
        expect(bool(done.stdout.strip()), "it prints nothing")


def leaves_the_network_as_it_was(subject: Subject) -> None:
    """The network that it writes, its weights and its mode, and the clips are left as they were."""
    toy = _toy()
    before = {name: tensor.clone() for name, tensor in toy.model.state_dict().items()}
    frames = toy.example.frames.clone()
    with tempfile.TemporaryDirectory() as folder:
        exporter: Exporter = subject.build()
        _export(exporter, toy, Path(folder, f"toy{exporter.suffix}"))
    after = toy.model.state_dict()
    changed = [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]
    expect(not changed, f"changed: {', '.join(changed)}")
    expect(not any(module.training for module in toy.model.modules()), "it is in training mode")
    expect(torch.equal(frames, toy.example.frames), "the frames of the clips were changed")


def refuses_what_it_did_not_write(subject: Subject) -> None:
    """A file that is not one of its own is refused with a `DistillbenchError`."""
    exporter: Exporter = subject.build()
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate((b"", b"no network", bytes(range(256)) * 8)):
            path = Path(folder, f"other{number}{exporter.suffix}")
            path.write_bytes(content)
            try:
                exporter.load(path)
            except DistillbenchError:
                continue
            except Exception as error:
                raise Broken(
                    f"{type(error).__name__} for a file of {len(content)} bytes"
                ) from error
            raise Broken(f"it read a file of {len(content)} bytes that is not a network")


GIVEN: tuple[object, ...] = ()
"""The positional constructor arguments of a component."""

CHECKS = (
    writes_one_file,
    loads_what_it_wrote,
    serves_for_other_clips,
    needs_nothing_but_the_file,
    its_example_runs,
    leaves_the_network_as_it_was,
    refuses_what_it_did_not_write,
)
