"""What is to be tuned: arms, and the space that is searched for each, as users write them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distillbench.config.layers import Layer, Value, settings_layer, unknown_names
from distillbench.errors import ConfigError
from distillbench.interfaces import Between, OneOf, Space
from distillbench.toml_files import flat, read_toml
from distillbench.untrusted import quoted

MOST_TRIALS = 10_000
_BETWEEN = re.compile(r"\s*(?P<low>[^\s.][^\s]*?)\.\.(?P<high>\S+)(?P<how>(\s+(log|whole))*)\s*")


@dataclass(frozen=True)
class Arm:
    """A method to be tuned.

    settings: what it has of its own.
    space: what is tried for it, by setting: what is tried for all arms, and what it adds. An arm
        that tries nothing takes over what others chose for all.
    for_all: whether all arms after it take over what it chooses.
    like: an earlier arm whose choice it takes over as well; empty for none.
    """

    name: str
    settings: Layer
    space: Space
    for_all: bool = False
    like: str = ""


@dataclass(frozen=True)
class Tuning:
    """What a tuning file asks.

    shared: the settings of all arms.
    trials: how many each arm has; None where the file does not say.
    """

    shared: Layer
    arms: tuple[Arm, ...]
    trials: int | None = None


def read_tuning(path: Path | None, tried: Sequence[str]) -> Tuning:
    """Reads what is to be tuned from a file, if there is one, and from `--try` flags.

    tried: SETTING=VALUES of each flag, for all arms; they win. Raises `ConfigError` with all that
    is wrong.
    """
    content = {} if path is None else read_toml(path)
    source = "--try" if path is None else str(path)
    trials, arms, shared_space = (content.pop(name, None) for name in ("trials", "arm", "try"))
    problems: list[str] = []
    space = _space(shared_space, source, problems)
    for flag in tried:
        name, equals, values = flag.partition("=")
        if not equals:
            problems.append(
                "--try takes SETTING=VALUES, such as 'training.learning_rate=0.001..0.1 log';"
                f" found '{flag}'"
            )
            continue
        space |= _space({name.strip(): values}, "--try", problems)
    if trials is not None and not (type(trials) is int and 1 <= trials <= MOST_TRIALS):
        problems.append(
            f"{source}: trials = {quoted(trials)}; it must be an integer from 1 to {MOST_TRIALS:,}"
        )
    found = list(_arms(arms, space, source, problems))
    shared = settings_layer(source, content)
    problems += unknown_names(shared)
    problems += [problem for arm in found for problem in unknown_names(arm.settings)]
    for arm in found:
        problems += unknown_names(Layer(f"{source}, {arm.name}", dict(arm.space)))
        if not arm.space and (arm.for_all or not any(other.space for other in found)):
            problems.append(f"{source}: nothing is tried for {arm.name}; give [try] or --try")
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    return Tuning(shared, tuple(found), trials)


def _arms(arms: object, space: Space, source: str, problems: list[str]) -> Iterator[Arm]:
    if arms is None:
        yield Arm("all", Layer(source, {}), space)
        return
    if not isinstance(arms, list) or not all(isinstance(arm, Mapping) for arm in arms):
        problems.append(f"{source}: an arm is a table of its own, [[arm]]; found {quoted(arms)}")
        return
    names = set[str]()
    for number, entry in enumerate(arms, 1):
        own = dict(entry)
        name = own.pop("name", None)
        if not isinstance(name, str) or not name or name in names:
            problems.append(
                f"{source}: arm {number} has the name {quoted(name)}; it needs one of its own"
            )
            continue
        for_all = own.pop("for_all", False)
        if type(for_all) is not bool:
            problems.append(f"{source}, {name}: for_all = {quoted(for_all)}; it is true or false")
        like = own.pop("like", "")
        if like and like not in names:
            problems.append(
                f"{source}, {name}: like = {quoted(like)}; no arm before it is called so"
            )
        added = _space(own.pop("try", None), f"{source}, {name}", problems)
        yield Arm(
            name,
            settings_layer(f"{source}, {name}", own),
            {**space, **added},
            bool(for_all),
            str(like),
        )
        names.add(name)


def _space(table: object, source: str, problems: list[str]) -> dict[str, Between | OneOf]:
    if table is None:
        return {}
    if not isinstance(table, Mapping):
        problems.append(f"{source}: try is {quoted(table)}; it must be a table of settings")
        return {}
    found: dict[str, Between | OneOf] = {}
    for name, written in flat(table):
        part = read_part(written)
        if part is None:
            problems.append(
                f"{source}: {name} tries {quoted(written)}; write 0.001..0.1, perhaps followed by"
                " log or whole, or a list of values"
            )
        else:
            found[name] = part
    return found


def read_part(written: Value) -> Between | OneOf | None:
    """Reads what may be tried of one setting; None where it is neither a range nor values."""
    if isinstance(written, str) and (found := _BETWEEN.fullmatch(written)):
        how = found["how"].split()
        try:
            low, high = float(found["low"]), float(found["high"])
        except ValueError:
            return None
        log, whole = "log" in how, "whole" in how
        sound = math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or not log)
        sound = sound and (not whole or (low == int(low) and high == int(high)))
        return Between(low, high, log, whole) if sound else None
    if isinstance(written, str):
        written = [_plain(part.strip()) for part in written.split(",") if part.strip()]
    if not isinstance(written, list) or not written:
        return None
    if not all(isinstance(value, (bool, int, float, str)) for value in written):
        return None
    values = tuple(dict.fromkeys(written))
    return OneOf(values)


def _plain(text: str) -> bool | int | float | str:
    """Reads a flag's value as TOML would, where it can be."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def written_space(space: Space) -> str:
    """Writes a space in one line, in the order of the settings' names, as `read_part` reads it."""
    return ", ".join(f"{name} {written_part(space[name])}" for name in sorted(space))


def written_part(part: Between | OneOf) -> str:
    """Writes what may be tried of one setting."""
    if isinstance(part, OneOf):
        return f"[{' '.join(map(str, part.values))}]"
    words = [f"{part.low:g}..{part.high:g}", *(["log"] if part.log else [])]
    return " ".join([*words, *(["whole"] if part.whole else [])])
