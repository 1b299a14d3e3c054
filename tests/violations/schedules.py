"""An correct schedule, and for each promise one that breaks it alone."""

from __future__ import annotations

from violations.violating import violating

from distillbench.interfaces import Learner, Phase, Teacher, Term, TrainingSchedule


def build(self, objective) -> None:
    self.objective = objective


def teacher(self, epochs: int) -> Phase:
    return Phase("teacher", epochs, {"teacher": Learner(self.objective.supervised())})


def student(self, epochs: int, name: str = "student", *more: Term) -> Phase:
    return Phase(name, epochs, {"student": Learner((*self.objective.against("teacher"), *more))})


def phases(self, epochs: int):
    return [teacher(self, epochs), student(self, epochs)]


PARTS = {"__init__": build, "phases": phases}
CORRECT = violating(TrainingSchedule, PARTS)


def repeats_a_name(self, epochs):
    return [teacher(self, epochs), student(self, epochs, "teacher")]


def is_taught_by_an_untrained_teacher(self, epochs):
    return [student(self, epochs)]


def is_taught_by_an_unknown_network(self, epochs):
    return [
        teacher(self, epochs),
        Phase("student", epochs, {"student": Learner(self.objective.against("professor"))}),
    ]


def weighs_negatively(self, epochs):
    terms = tuple(Term(name, -0.5, "teacher") for name in self.objective.matching)
    return [
        teacher(self, epochs),
        Phase("student", epochs, {"student": Learner((*self.objective.on_labels(), *terms))}),
    ]


def weighs_infinitely(self, epochs):
    terms = (Term(self.objective.label_loss, float("inf")),)
    return [teacher(self, epochs), Phase("student", epochs, {"student": Learner(terms)})]


def loses_an_epoch(self, epochs):
    half = max(1, epochs // 2)
    return [
        teacher(self, epochs),
        student(self, half, "first half"),
        student(self, half, "second half"),
    ]


def stops_the_teacher_of_short_runs(self, epochs):
    alone = Learner(self.objective.supervised())
    return [
        Phase("teacher", epochs if epochs > 10 else 1, {"teacher": alone}),
        student(self, epochs),
    ]


def forgets_the_student(self, epochs):
    return [teacher(self, epochs)]


def weighs_nothing(self, epochs):
    rest = Phase("rest", epochs, {"student": Learner((Term(self.objective.label_loss, 0.0),))})
    return [*phases(self, epochs), rest]


def names_a_loss_of_its_own(self, epochs):
    return [
        teacher(self, epochs),
        student(self, epochs, "student", Term("contrastive", 1.0, "teacher")),
    ]


def matches_with_nobody(self, epochs):
    terms = tuple(Term(name, weight) for name, weight in self.objective.weights.items())
    return [teacher(self, epochs), Phase("student", epochs, {"student": Learner(terms)})]


def gives_the_labels_a_teacher(self, epochs):
    terms = (Term(self.objective.label_loss, 1.0, Teacher("teacher")),)
    return [teacher(self, epochs), Phase("student", epochs, {"student": Learner(terms)})]


def counts_its_calls(self, epochs):
    self.asked = getattr(self, "asked", 0) + 1
    return [teacher(self, epochs), student(self, epochs, f"student {self.asked}")]


def adds_to_the_objective(self, epochs):
    self.objective.weights.setdefault(self.objective.label_loss, 1.0)
    return phases(self, epochs)


VIOLATIONS = [
    ("declares_what_can_be_run", violating(TrainingSchedule, PARTS, phases=repeats_a_name)),
    (
        "declares_what_can_be_run",
        violating(TrainingSchedule, PARTS, phases=is_taught_by_an_untrained_teacher),
    ),
    (
        "declares_what_can_be_run",
        violating(TrainingSchedule, PARTS, phases=is_taught_by_an_unknown_network),
    ),
    ("declares_what_can_be_run", violating(TrainingSchedule, PARTS, phases=weighs_negatively)),
    ("declares_what_can_be_run", violating(TrainingSchedule, PARTS, phases=weighs_infinitely)),
    ("epochs_add_up", violating(TrainingSchedule, PARTS, phases=loses_an_epoch)),
    (
        "epochs_add_up",
        violating(TrainingSchedule, PARTS, phases=stops_the_teacher_of_short_runs),
    ),
    ("the_reported_network_learns", violating(TrainingSchedule, PARTS, phases=forgets_the_student)),
    ("nobody_idles", violating(TrainingSchedule, PARTS, phases=weighs_nothing)),
    (
        "uses_the_losses_that_it_is_given",
        violating(TrainingSchedule, PARTS, phases=names_a_loss_of_its_own),
    ),
    (
        "uses_the_losses_that_it_is_given",
        violating(TrainingSchedule, PARTS, phases=matches_with_nobody),
    ),
    (
        "uses_the_losses_that_it_is_given",
        violating(TrainingSchedule, PARTS, phases=gives_the_labels_a_teacher),
    ),
    ("is_pure", violating(TrainingSchedule, PARTS, phases=counts_its_calls)),
    ("is_pure", violating(TrainingSchedule, PARTS, phases=adds_to_the_objective)),
]
