"""Runs every check of a component's kind, each sheltered from what the last one left behind."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import torch

from distillbench.errors import DistillbenchError
from distillbench.printing import printing_nothing
from distillbench.registry.discovery import Component, Registry, discover
from distillbench.registry.kinds import KINDS
from distillbench.testing import every_kind
from distillbench.testing.every_kind import of_kind
from distillbench.testing.promises import Broken, Check, Subject, Unchecked, Unclaimed, seeded
from distillbench.untrusted import attempted

CHECKS: Mapping[str, tuple[Check, ...]] = {
    name: tuple(Check(function) for function in (*every_kind.CHECKS, *of_kind(name).CHECKS))
    for name in KINDS
}
"""By kind: the checks of every component of that kind, those of every kind first."""

Status = Literal["kept", "broken", "not claimed", "not checked"]


@dataclass(frozen=True)
class Verdict:
    """What one check found of one component.

    received: what was seen where the promise is broken or not made, and what is needed where it is
    not checked.
    """

    component: Component
    check: Check
    status: Status
    received: str = ""


def subjects(components: Iterable[Component], data_dir: str | None = None) -> list[Subject]:
    """Makes subjects of components.

    All their modules are imported in one fresh process to see what that changes.

    data_dir: the folder that a data set with a knob `dir` is to be checked with.
    """
    listed = list(components)
    effects = import_effects(dict.fromkeys(component.cls.__module__ for component in listed))
    return [Subject(component, effects[component.cls.__module__], data_dir) for component in listed]


def verdicts(subject: Subject) -> Iterator[Verdict]:
    """Runs every check of the subject's kind."""
    for check in CHECKS[subject.component.kind]:
        yield verdict(check, subject)


def verdicts_of(
    listed: Sequence[Subject], jobs: int = 1
) -> Iterator[tuple[Subject, Iterable[Verdict]]]:
    """Checks installed subjects in their order, `jobs` at once in processes of their own.

    Raises `DistillbenchError` where a component ends such a process.
    """
    if jobs == 1:
        yield from ((subject, verdicts(subject)) for subject in listed)
        return
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, max(1, len(listed))), mp_context=spawned) as pool:
        judged = [
            pool.submit(
                _judged_elsewhere,
                (each.component.kind, each.component.name, each.component.distribution),
                each.import_effects,
                each.data_dir,
            )
            for each in listed
        ]
        for subject, future in zip(listed, judged, strict=True):
            checks = CHECKS[subject.component.kind]
            try:
                found = future.result()
            except BrokenProcessPool as ended:
                raise DistillbenchError(
                    "a component ended the process that checked it; without --jobs the last one"
                    " named is it"
                ) from ended
            yield (
                subject,
                [
                    Verdict(subject.component, check, *each)
                    for check, each in zip(checks, found, strict=True)
                ],
            )


def _judged_elsewhere(
    name: tuple[str, str, str], imports: tuple[str, ...], data_dir: str | None
) -> list[tuple[Status, str]]:
    """Runs every check in this process, on the component as it is installed.

    name: its kind, its own name and its distribution's.
    """
    for component in _installed():
        if (component.kind, component.name, component.distribution) == name:
            subject = Subject(component, imports, data_dir)
            return [_judged(check, subject) for check in CHECKS[component.kind]]
    raise DistillbenchError(f"the {name[0]} '{name[1]}' is not installed any more")


@cache
def _installed() -> Registry:
    return discover()


def verdict(check: Check, subject: Subject) -> Verdict:
    """Runs one check; whatever else a component raises breaks the promise too."""
    status, received = _judged(check, subject)
    return Verdict(subject.component, check, status, received)


def _judged(check: Check, subject: Subject) -> tuple[Status, str]:
    found, failed = attempted(lambda: _found(check, subject))
    return found or ("broken", f"it raised {failed}")


def _found(check: Check, subject: Subject) -> tuple[Status, str]:
    try:
        with _sheltered():
            check.function(subject)
    except Unclaimed as reason:
        return "not claimed", str(reason)
    except Broken as broken:
        return "broken", str(broken)
    except Unchecked as need:
        return "not checked", str(need)
    return "kept", ""


@contextmanager
def _sheltered() -> Iterator[None]:
    """Puts back what a component may change, and keeps what it prints off the screen."""
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    with warnings.catch_warnings(), printing_nothing(), seeded(0), torch.enable_grad():
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)  # toys are too small to share out
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_num_threads(threads)


def import_effects(modules: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Imports modules in a fresh process, one after the other; returns what each import changed."""
    listed = list(modules)
    if not listed:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        done = _probe([str(report), *listed])
        if not report.is_file():
            reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            return dict.fromkeys(listed, (f"the process that imported it ended: {reason[0]}",))
        found: dict[str, list[str]] = json.loads(report.read_text(encoding="utf-8"))
    return {module: tuple(effects) for module, effects in found.items()}


def _probe(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "distillbench.testing.import_probe", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        capture_output=True,
        text=True,
        check=False,
    )
