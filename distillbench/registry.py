"""Finds every component of every installed plugin, and every failure, with the distribution each came from."""

from __future__ import annotations

import inspect
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions, version
from pathlib import Path
from types import ModuleType

import pluggy

from distillbench import hookspecs
from distillbench.errors import ConfigError
from distillbench.hookspecs import HOOK_OF_KIND, OBSERVER_HOOKS
from distillbench.knobs import nearest

GROUP = "distillbench"
KINDS = tuple(HOOK_OF_KIND)


@dataclass(frozen=True)
class Component:
    """One component of one plugin: its kind and name, its class, and the distribution that brought it."""

    kind: str
    name: str
    cls: type
    distribution: str
    version: str

    @property
    def summary(self) -> str:
        """The first line of the component's docstring."""
        return (inspect.getdoc(self.cls) or "").partition("\n")[0]


@dataclass(frozen=True)
class Plugin:
    """One plugin that was loaded: the name of its entry point, its module and the distribution that brought it."""

    name: str
    module: ModuleType
    distribution: str

    @property
    def version(self) -> str:
        """The distribution's version."""
        return version(self.distribution)

    @property
    def summary(self) -> str:
        """The first line of the module's docstring."""
        return (inspect.getdoc(self.module) or "").partition("\n")[0]


@dataclass(frozen=True)
class Failure:
    """A plugin, or one thing a plugin offered, that cannot be used, and why."""

    plugin: str
    distribution: str
    version: str
    reason: str


class Registry:
    """What is installed: components by kind and name, the failures, and the hooks to call."""

    def __init__(
        self, components: Iterable[Component], failures: Iterable[Failure], hooks: pluggy.PluginManager
    ) -> None:
        self._components = {(c.kind, c.name): c for c in components}
        self.failures = tuple(failures)
        self.hooks = hooks

    def __iter__(self) -> Iterator[Component]:
        return iter(self._components.values())

    def names(self, kind: str) -> list[str]:
        """Lists the names of a kind's components."""
        return [name for (k, name) in self._components if k == kind]

    def find(self, kind: str, name: str) -> Component | None:
        """Returns the component of that kind and name, or None."""
        return self._components.get((kind, name))

    def observers(self) -> dict[str, Plugin]:
        """Lists the plugins that can be told how runs go, by the name of their entry point."""
        implementations = [i for hook in OBSERVER_HOOKS for i in getattr(self.hooks.hook, hook).get_hookimpls()]
        found = [_plugin(i.plugin_name, i.plugin) for i in implementations]
        return {plugin.name: plugin for plugin in sorted(found, key=lambda plugin: plugin.name)}

    @property
    def plugins(self) -> list[Plugin]:
        """Every plugin that was loaded, whatever it offers."""
        return [
            _plugin(name, module) for name, module in self.hooks.list_name_plugin() if isinstance(module, ModuleType)
        ]

    def missing(self, kind: str, name: str) -> str:
        """Says that a name is not there: what was asked, what exists, the nearest name, and a plugin that failed."""
        names = self.names(kind)
        said = f"no {kind} is called '{name}'{nearest(name, names)}; there are: {', '.join(names) or 'none'}"
        broken = [f for f in self.failures if f.plugin == name]
        return said + "".join(
            f" (the plugin '{f.plugin}' of {f.distribution} failed to load: {f.reason})" for f in broken
        )

    def question(self, name: str) -> Path:
        """Returns the file of the question of that name; raises `ConfigError` where no plugin brings it."""
        found: dict[str, Path] = {}
        failed = ""
        for implementation in self.hooks.hook.questions.get_hookimpls():
            try:
                offered: Mapping[str, Path] = implementation.function()  # type: ignore[assignment]
                found = {str(key): Path(path) for key, path in offered.items()} | found
            except (Exception, SystemExit) as error:
                failed += f" (the questions of {implementation.plugin_name} failed: {_reason(error)})"
        if name not in found:
            known = ", ".join(sorted(found)) or "none"
            raise ConfigError(
                [
                    f"no question is called '{name}'{nearest(name, found)}; there are: {known}; "
                    f"a file of yours is named with its ending, such as {name}.toml{failed}"
                ]
            )
        return found[name]


def discover() -> Registry:
    """Loads every entry point of the group `distillbench`; a broken plugin becomes a failure, never an exception."""
    hooks = pluggy.PluginManager(GROUP)
    hooks.add_hookspecs(hookspecs)
    components: dict[tuple[str, str], Component] = {}
    failures: list[Failure] = []
    entry_names: dict[str, str] = {}
    for distribution, entry in _entry_points():
        owner, version = distribution.metadata["Name"], distribution.version
        taken_by = entry_names.setdefault(entry.name, owner)
        if taken_by != owner:
            reason = (
                f"the entry point name '{entry.name}' is taken by {taken_by}; its components were loaded all the same"
            )
            failures.append(Failure(entry.name, owner, version, reason))
        module, reason = _load(hooks, entry, f"{owner}:{entry.name}")
        if module is None:
            failures.append(Failure(entry.name, owner, version, reason))
            continue
        for kind, name, offered, reason in _offers(hooks, module):
            known = components.get((kind, name))
            if known is not None:
                reason = f"the {kind} name '{name}' is taken by {known.distribution} {known.version}"
            if reason:
                failures.append(Failure(entry.name, owner, version, reason))
            elif isinstance(offered, type):
                components[kind, name] = Component(kind, name, offered, owner, version)
    ordered = sorted(components.values(), key=lambda c: KINDS.index(c.kind))
    return Registry(ordered, failures, hooks)


def _entry_points() -> list[tuple[Distribution, EntryPoint]]:
    """Lists the group's entry points, ours first and then by distribution, each distribution once."""
    seen: set[str] = set()
    found = []
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name is None or name.lower() in seen:
            continue
        seen.add(name.lower())
        found += [(distribution, entry) for entry in distribution.entry_points if entry.group == GROUP]
    return sorted(found, key=lambda pair: (pair[0].metadata["Name"] != GROUP, pair[0].metadata["Name"]))


def _load(hooks: pluggy.PluginManager, entry: EntryPoint, name: str) -> tuple[ModuleType | None, str]:
    """Imports and registers one plugin: the module, or None and why not."""
    try:
        with redirect_stdout(io.StringIO()):
            module = entry.load()
        if hooks.is_registered(module):
            return None, f"the module '{entry.value}' is already registered under another entry point"
        hooks.register(module, name=name)
    except (Exception, SystemExit) as error:  # whatever a stranger's module raises must not take the command down
        return None, _reason(error)
    unknown = [n for n in dir(module) if hooks.parse_hookimpl_opts(module, n) and not hasattr(hookspecs, n)]
    if unknown:
        hooks.unregister(module)
        known = [*(hook for hook, _ in HOOK_OF_KIND.values()), *OBSERVER_HOOKS, "metric_columns", "questions"]
        return None, "; ".join(f"unknown hook '{n}'{nearest(n, known)}" for n in unknown)
    return module, ""


def _offers(hooks: pluggy.PluginManager, module: ModuleType) -> Iterator[tuple[str, str, object, str]]:
    """Yields (kind, name, offered, why it cannot be used) for everything a plugin's hooks return."""
    for kind, (hook, base) in HOOK_OF_KIND.items():
        for implementation in getattr(hooks.hook, hook).get_hookimpls():
            if implementation.plugin is not module:
                continue
            try:
                offered = implementation.function()
            except (Exception, SystemExit) as error:
                yield kind, "", None, f"its hook '{hook}' failed: {_reason(error)}"
                continue
            if not isinstance(offered, Mapping):
                yield kind, "", None, f"its hook '{hook}' returned {offered!r}; it returns a mapping from name to class"
                continue
            for name, cls in offered.items():
                yield kind, str(name), cls, _wrong_class(kind, str(name), cls, base)


def _wrong_class(kind: str, name: str, cls: object, base: type) -> str:
    if not (isinstance(cls, type) and issubclass(cls, base)):
        return (
            f"the {kind} '{name}' is {cls!r}; it must be a class derived from distillbench.interfaces.{base.__name__}"
        )
    if inspect.isabstract(cls):
        return f"the {kind} '{name}' leaves abstract: {', '.join(sorted(getattr(cls, '__abstractmethods__', ())))}"
    return ""


def _plugin(registered: str, module: ModuleType) -> Plugin:
    distribution, _, name = registered.partition(":")
    return Plugin(name, module, distribution)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]
