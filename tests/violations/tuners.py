"""A correct tuner, which draws at random, and for each promise one that breaks it alone."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

from violations.violating import violating

from distillbench.interfaces import OneOf, Trial, Tuner


def build(self, study) -> None:
    self.study, self.file = study, Path(study.file)


def lines(self) -> list[bytes]:
    content = self.file.read_bytes() if self.file.is_file() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        self.file.write_bytes(whole)
    return whole.splitlines()


def trials(self):
    found = []
    for line in self.lines():
        said = json.loads(line)
        if isinstance(said, dict):
            found.append(Trial(len(found), said))
        else:
            number, state, quality = said
            found[number] = replace(found[number], state=state, quality=quality)
    return found


def keep(self, said) -> None:
    with self.file.open("a") as file:
        file.write(json.dumps(said) + "\n")


def seeded(self, number: int) -> random.Random:
    return random.Random(f"{self.study.seed} {number}")


def drawn(self, part, chance):
    if isinstance(part, OneOf):
        return chance.choice(part.values)
    if part.whole:
        return chance.randint(int(part.low), int(part.high))
    return chance.uniform(part.low, part.high)


def ask(self):
    number = len(self.trials())
    chance = self.seeded(number)
    values = {name: self.drawn(part, chance) for name, part in self.study.space.items()}
    self.keep(values)
    return Trial(number, values)


def tell(self, number, state, quality) -> None:
    self.keep([number, state, quality])


PARTS = {
    "__init__": build,
    "lines": lines,
    "trials": trials,
    "keep": keep,
    "seeded": seeded,
    "drawn": drawn,
    "ask": ask,
    "tell": tell,
}
CORRECT = violating(Tuner, PARTS)


def draws_beyond_the_end(self, part, chance):
    found = drawn(self, part, chance)
    return found + 1.0 if isinstance(found, float) and part.high == 1.0 else found


def proposes_what_it_proposed_last(self):
    known = self.trials()
    if len(known) > 2 and known[-1].state == "asked" and known[-2].state == "finished":
        self.keep(dict(known[-1].values))
        return Trial(len(known), known[-1].values)
    return ask(self)


def says_that_stopped_ones_finished(self, number, state, quality) -> None:
    tell(self, number, "finished" if state == "stopped" else state, quality)


def counts_wrongly_once_it_told_before_it_asked(self):
    trial = ask(self)
    self.asked = True
    return replace(trial, number=trial.number + 7) if getattr(self, "told_first", False) else trial


def remembers_that_it_told_first(self, number, state, quality) -> None:
    self.told_first = not getattr(self, "asked", False)
    tell(self, number, state, quality)


def reads_half_a_line(self) -> list[bytes]:
    return self.file.read_bytes().splitlines() if self.file.is_file() else []


def forgets_its_seed(self, number: int) -> random.Random:
    return random.Random(number)


def makes_its_file(self, study) -> None:
    build(self, study)
    if self.file.parent.is_absolute():
        self.file.touch()


VIOLATIONS = [
    ("proposes_within_the_space", violating(Tuner, PARTS, drawn=draws_beyond_the_end)),
    ("trials_of_one_round_differ", violating(Tuner, PARTS, ask=proposes_what_it_proposed_last)),
    ("keeps_what_it_was_told", violating(Tuner, PARTS, tell=says_that_stopped_ones_finished)),
    (
        "goes_on_where_it_was",
        violating(
            Tuner,
            PARTS,
            ask=counts_wrongly_once_it_told_before_it_asked,
            tell=remembers_that_it_told_first,
        ),
    ),
    ("survives_a_torn_file", violating(Tuner, PARTS, lines=reads_half_a_line)),
    ("a_study_is_reproducible", violating(Tuner, PARTS, seeded=forgets_its_seed)),
    ("building_touches_nothing", violating(Tuner, PARTS, __init__=makes_its_file)),
]
