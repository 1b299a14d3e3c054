"""An honest schedule, and for each promise one that breaks it alone."""

from __future__ import annotations

from liars.lies import lie

from distillbench.interfaces import Phase, TrainingSchedule


def build(self, objective) -> None:
    self.objective = objective


def teacher(epochs: int) -> Phase:
    return Phase("teacher", epochs, {"teacher": {"ce": 1.0}}, guides={})


def student(self, epochs: int, name: str = "student", **more: float) -> Phase:
    return Phase(name, epochs, {"student": {**self.objective, **more}})


def phases(self, epochs: int):
    return [teacher(epochs), student(self, epochs)]


PARTS = {"__init__": build, "phases": phases}
HONEST = lie(TrainingSchedule, PARTS)


def repeats_a_name(self, epochs):
    return [teacher(epochs), student(self, epochs, "teacher")]


def loses_an_epoch(self, epochs):
    half = max(1, epochs // 2)
    return [teacher(epochs), student(self, half, "first half"), student(self, half, "second half")]


def forgets_the_student(self, epochs):
    return [teacher(epochs)]


def rests(self, epochs):
    return [*phases(self, epochs), Phase("rest", epochs, {})]


def weighs_negatively(self, epochs):
    return [teacher(epochs), student(self, epochs, pred=-0.5)]


def weighs_infinitely(self, epochs):
    return [teacher(epochs), student(self, epochs, pred=float("inf"))]


def is_guided_by_an_untrained_teacher(self, epochs):
    return [student(self, epochs)]


def counts_its_calls(self, epochs):
    self.asked = getattr(self, "asked", 0) + 1
    return [teacher(epochs), student(self, epochs, f"student {self.asked}")]


def adds_to_the_objective(self, objective) -> None:
    objective.setdefault("ce", 1.0)
    self.objective = objective


LIARS = [
    ("speaks_of_what_there_is", lie(TrainingSchedule, PARTS, phases=repeats_a_name)),
    ("epochs_add_up", lie(TrainingSchedule, PARTS, phases=loses_an_epoch)),
    ("the_one_that_answers_learns", lie(TrainingSchedule, PARTS, phases=forgets_the_student)),
    ("nobody_idles", lie(TrainingSchedule, PARTS, phases=rests)),
    ("weights_are_finite_and_not_negative", lie(TrainingSchedule, PARTS, phases=weighs_negatively)),
    ("weights_are_finite_and_not_negative", lie(TrainingSchedule, PARTS, phases=weighs_infinitely)),
    ("guides_know_something", lie(TrainingSchedule, PARTS, phases=is_guided_by_an_untrained_teacher)),
    ("is_pure", lie(TrainingSchedule, PARTS, phases=counts_its_calls)),
    ("is_pure", lie(TrainingSchedule, PARTS, __init__=adds_to_the_objective)),
]
