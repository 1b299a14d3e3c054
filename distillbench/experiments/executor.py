"""Hands runs to an executor, and holds it to its word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from distillbench.config.run_spec import Choice, RunSpec
from distillbench.errors import ConfigError, PluginError
from distillbench.interfaces import (
    Demand,
    EpochEnded,
    Executor,
    Failed,
    Finished,
    Lost,
    Message,
    PhaseStarted,
    RunEvent,
    RunJob,
)
from distillbench.registry.discovery import Component, Registry
from distillbench.registry.knobs import bind
from distillbench.untrusted import quoted

_ENDS = (Finished, Failed, Lost)
_EVENTS = (*_ENDS, PhaseStarted, EpochEnded, Message)


def executor(
    registry: Registry,
    name: str,
    knobs: Mapping[str, object],
    specs: Sequence[RunSpec],
    device: str,
) -> CheckedExecutor:
    """Builds the executor of that name for runs to come.

    Raises `ConfigError` where it or a knob is not there.
    """
    component = registry.find("executor", name)
    if component is None:
        raise ConfigError([registry.missing("executor", name)])
    values, problems = bind(component.cls, knobs, f"executor {name}")
    if problems:
        raise ConfigError(problems)
    threads = [spec.training.threads for spec in specs]
    demand = Demand(len(specs), 0 if 0 in threads else max(threads, default=0), device)
    return CheckedExecutor(component, Choice(component, values).build(demand))


def usual_executor(registry: Registry) -> str:
    """Returns the default executor."""
    for component in registry:
        if issubclass(component.cls, Executor) and component.cls.is_default:
            return component.name
    raise ConfigError(["no installed executor is the usual one; --executor names one"])


class CheckedExecutor:
    """An executor whose every word is checked: no run gets lost, whatever it does.

    Raises `PluginError`, which names it, where it raises something, gives what is not an event, or
    reports a run that it does not have. A run that it silently has no longer is `Lost`.
    """

    def __init__(self, component: Component, made: Executor) -> None:
        self._component, self._executor = component, made
        self._running: set[str] = set()

    @property
    def shares_machine(self) -> bool:
        """Whether runs that are made at the same time slow one another down."""
        return self._executor.shares_machine

    @property
    def remote(self) -> bool:
        """Whether other machines make the runs."""
        return self._executor.remote

    @property
    def attempts(self) -> int:
        """How often a run is begun that gets lost."""
        with self._component.guarded():
            found = self._executor.attempts
            if type(found) is not int or found < 1:
                raise PluginError(
                    f"{self._component.title}: attempts is {quoted(found)}; it is an integer of at"
                    " least 1"
                )
        return found

    @property
    def free(self) -> int:
        """How many runs could be submitted now."""
        with self._component.guarded():
            found = self._executor.free
            if type(found) is not int:
                raise PluginError(
                    f"{self._component.title}: free is {quoted(found)}; it is an integer"
                )
        return found

    def submit(self, job: RunJob) -> None:
        """Hands over a run."""
        self._running.add(job.key)
        with self._component.guarded():
            self._executor.submit(job)

    def events(self, timeout: float) -> Iterator[RunEvent]:
        """Yields what happened, once it is checked."""
        with self._component.guarded():
            reported = iter(self._executor.events(timeout))
        while True:
            with self._component.guarded():
                event = next(reported, None)
            if event is None:
                break
            yield self._checked(event)
        yield from self._forgotten()

    def _checked(self, event: object) -> RunEvent:
        title = self._component.title
        if type(event) not in _EVENTS:
            known = ", ".join(each.__name__ for each in _EVENTS)
            raise PluginError(f"{title} reported {quoted(event)}; the events are: {known}")
        assert isinstance(event, RunEvent)
        if event.key not in self._running:
            what = type(event).__name__
            raise PluginError(
                f"{title} reported {what} of run {quoted(event.key)}, which it does not have"
            )
        if isinstance(event, _ENDS):
            self._running.remove(event.key)
        return event

    def _forgotten(self) -> Iterator[RunEvent]:
        """Reports as lost the runs that the executor no longer has.

        It never reported their end.
        """
        with self._component.guarded():
            known = set(self._executor.running)
        for key in sorted(self._running - known):
            self._running.remove(key)
            yield Lost(key, f"{self._component.title} lost it without a word")

    def shutdown(self) -> None:
        """Ends whatever is being made."""
        with self._component.guarded():
            self._executor.shutdown()

    def abandon(self) -> None:
        """Ends the runs that are going on, on the way out of an error.

        A second error must not hide the first.
        """
        with suppress(PluginError):
            self.shutdown()
