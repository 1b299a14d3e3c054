"""What a tuner promises."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from distillbench.errors import ConfigError
from distillbench.interfaces import Between, OneOf, Space, Study, Trial, Tuner
from distillbench.testing.promises import Subject, Unchecked, expect

_SPACE: Space = {
    "toy.rate": Between(1e-4, 1e-1, log=True),
    "toy.share": Between(0.0, 1.0),
    "toy.layers": Between(1, 4, whole=True),
    "toy.form": OneOf(("one", "two", "three")),
}
_TRIALS = 8


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _tuner(subject: Subject, folder: Path, name: str = "study") -> Tuner:
    study = Study(str(folder / name), _SPACE, seed=5)
    tuner: Tuner = subject.build(study)
    try:
        tuner.trials()
    except ConfigError as error:  # a package that it needs is not installed
        raise Unchecked(str(error)) from error
    return tuner


def _quality(trial: Trial) -> float:
    """What a toy finds: best at a share of 0.3."""
    return -abs(float(trial.values["toy.share"]) - 0.3)


def _searched(tuner: Tuner, trials: int) -> list[Trial]:
    found = []
    for _ in range(trials):
        found.append(tuner.ask())
        tuner.tell(found[-1].number, "finished", _quality(found[-1]))
    return found


def proposes_within_the_space(subject: Subject) -> None:
    """Every trial has a value of every setting, of its type and within its bounds.

    Trials are numbered from 0.
    """
    with _folder() as folder:
        for number, trial in enumerate(_searched(_tuner(subject, folder), _TRIALS)):
            expect(trial.number == number, f"trial {number} has the number {trial.number!r}")
            expect(trial.state == "asked", f"a new trial is {trial.state!r}")
            names = sorted(trial.values)
            expect(names == sorted(_SPACE), f"values of {names}; expected {sorted(_SPACE)}")
            for name, part in _SPACE.items():
                value = trial.values[name]
                if isinstance(part, OneOf):
                    expect(value in part.values, f"{name} = {value!r}, of {part.values}")
                else:
                    kind = int if part.whole else float
                    expect(type(value) is kind, f"{name} = {value!r}, which is no {kind.__name__}")
                    inside = part.low <= float(value) <= part.high
                    expect(inside, f"{name} = {value!r}, not from {part.low} to {part.high}")


def trials_of_one_round_differ(subject: Subject) -> None:
    """Trials that are asked before one of them is told are not alike."""
    with _folder() as folder:
        tuner = _tuner(subject, folder)
        _searched(tuner, _TRIALS)
        asked = [tuple(tuner.ask().values.items()) for _ in range(4)]
        expect(len(set(asked)) == 4, f"of 4 trials that wait, {len(set(asked))} are different")


def keeps_what_it_was_told(subject: Subject) -> None:
    """`trials` returns what was asked and told, however a trial ended."""
    with _folder() as folder:
        tuner = _tuner(subject, folder)
        asked = [tuner.ask() for _ in range(4)]
        tuner.tell(2, "stopped", 0.25)
        tuner.tell(0, "finished", 0.5)
        tuner.tell(3, "failed", None)
        wanted = [
            replace(asked[0], state="finished", quality=0.5),
            asked[1],
            replace(asked[2], state="stopped", quality=0.25),
            replace(asked[3], state="failed"),
        ]
        expect(list(tuner.trials()) == wanted, f"{list(tuner.trials())}; expected {wanted}")


def goes_on_where_it_was(subject: Subject) -> None:
    """Another tuner of the same file has the same trials, and its next one comes after them."""
    with _folder() as folder:
        first = _tuner(subject, folder)
        _searched(first, 2)
        waiting = first.ask()
        second = _tuner(subject, folder)
        found, wanted = list(second.trials()), list(first.trials())
        expect(found == wanted, f"{found}; expected {wanted}")
        expect(found[2] == waiting, f"the trial that waits is {found[2]}; expected {waiting}")
        second.tell(2, "finished", 0.5)
        number = second.ask().number
        expect(number == 3, f"the next trial has the number {number}")


def survives_a_torn_file(subject: Subject) -> None:
    """A file whose end was lost is opened, with all trials but the last, and goes on."""
    with _folder() as folder:
        tuner = _tuner(subject, folder)
        _searched(tuner, 3)
        before = list(tuner.trials())
        file = folder / "study"
        expect(file.is_file(), "it keeps its trials in no file, or in another one")
        content = file.read_bytes()
        file.write_bytes(content[:-3])
        for _ in range(2):  # what it wrote after the tear is read as well
            found = list(_tuner(subject, folder).trials())
            expect(found[:2] == before[:2], f"{found[:2]}; expected {before[:2]}")
            _searched(_tuner(subject, folder), 1)


def a_study_is_reproducible(subject: Subject) -> None:
    """The same study that is told the same proposes the same, in one process or in several.

    Another seed proposes something else.
    """
    with _folder() as folder:
        at_once = _searched(_tuner(subject, folder, "first"), _TRIALS)
        again = [_searched(_tuner(subject, folder, "second"), 1)[0] for _ in range(_TRIALS)]
        expect(again == at_once, f"{again[-1]}; expected {at_once[-1]}")
        other = subject.build(Study(str(folder / "third"), _SPACE, seed=6))
        expect(_searched(other, _TRIALS) != at_once, "the seed changes nothing")


def building_touches_nothing(subject: Subject) -> None:
    """Building it neither makes its file nor reads it."""
    with _folder() as folder:
        subject.build(Study(str(folder / "study"), _SPACE, seed=5))
        found = [path.name for path in folder.iterdir()]
        expect(not found, f"{', '.join(found)} was made")


GIVEN: tuple[object, ...] = (Study("study-of-a-check", _SPACE, seed=5),)
"""The positional constructor arguments of a component."""

CHECKS = (
    proposes_within_the_space,
    trials_of_one_round_differ,
    keeps_what_it_was_told,
    goes_on_where_it_was,
    survives_a_torn_file,
    a_study_is_reproducible,
    building_touches_nothing,
)
