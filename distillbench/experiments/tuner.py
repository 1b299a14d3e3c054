"""Asks a tuner for trials, and holds it to its word."""

from __future__ import annotations

from collections.abc import Mapping

from distillbench.config.run_spec import Choice
from distillbench.errors import ConfigError, PluginError
from distillbench.interfaces import Between, OneOf, Space, Study, Trial, TrialState, Tuner
from distillbench.registry.discovery import Registry
from distillbench.registry.knobs import bind
from distillbench.untrusted import quoted


def tuner_of(registry: Registry, name: str, knobs: Mapping[str, object]) -> Choice:
    """Finds a tuner; raises `ConfigError` where it or a knob is not there."""
    component = registry.find("tuner", name)
    if component is None:
        raise ConfigError([registry.missing("tuner", name)])
    values, problems = bind(component.cls, knobs, f"tuner {name}")
    if problems:
        raise ConfigError(problems)
    return Choice(component, values)


class CheckedTuner:
    """A tuner that is held to its word; raises `PluginError`, which names it, where it is not."""

    def __init__(self, choice: Choice, study: Study) -> None:
        self._component, self._space = choice.component, study.space
        self._tuner: Tuner = choice.build(study)

    def ask(self) -> Trial:
        """Asks for the next trial."""
        with self._component.guarded():
            trial = self._tuner.ask()
            wrong = not isinstance(trial, Trial) or not fits(self._space, trial.values)
            if wrong:
                raise PluginError(
                    f"{self._component.title} proposed {quoted(trial)}, which is not in the space"
                )
        return trial

    def tell(self, number: int, state: TrialState, quality: float | None) -> None:
        """Tells how a trial ended."""
        with self._component.guarded():
            self._tuner.tell(number, state, quality)

    def trials(self) -> list[Trial]:
        """Returns all trials."""
        with self._component.guarded():
            return list(self._tuner.trials())


def fits(space: Space, values: object) -> bool:
    """Tells whether values are those of a point of a space."""
    if not isinstance(values, Mapping) or values.keys() != space.keys():
        return False
    return all(_fits(part, values[name]) for name, part in space.items())


def _fits(part: Between | OneOf, value: object) -> bool:
    if isinstance(part, OneOf):
        return value in part.values
    is_number = type(value) in ((int,) if part.whole else (int, float))
    return is_number and part.low <= value <= part.high  # type: ignore[operator]
