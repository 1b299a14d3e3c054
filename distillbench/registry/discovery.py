"""Finds the components of all installed plugins, and the plugins that failed.

Each comes with the distribution that it is from.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import (
    Distribution,
    EntryPoint,
    PackageNotFoundError,
    distributions,
)
from importlib.metadata import version as installed_version
from pathlib import Path
from types import ModuleType

import pluggy

from distillbench.errors import ConfigError, DistillbenchError, Interrupted, PluginError
from distillbench.printing import printing_to_stderr
from distillbench.registry import hookspecs
from distillbench.registry.hookspecs import OBSERVER_HOOKS
from distillbench.registry.kinds import KINDS
from distillbench.registry.knobs import nearest
from distillbench.registry.offers import may_implement
from distillbench.registry.vetting import wrong_class, wrong_name
from distillbench.untrusted import quoted, reason_of

GROUP = "distillbench"
_UNKNOWN = "of unknown version"
_FIELD = re.compile(r"^(Name|Version): *(.*\S)", re.MULTILINE)


@dataclass(frozen=True)
class Component:
    """One component of one plugin.

    Its kind and name, its class, and the distribution that brought it.
    """

    kind: str
    name: str
    cls: type
    distribution: str
    version: str

    @property
    def summary(self) -> str:
        """The first line of the component's docstring."""
        return (inspect.getdoc(self.cls) or "").partition("\n")[0]

    @property
    def title(self) -> str:
        """What a message calls it.

        With its kind and the distribution that it comes from.
        """
        return f"the {self.kind} '{self.name}' of {self.distribution} {self.version}"

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Runs the component's own code.

        What it prints goes to standard error, what it raises names it.

        Raises `PluginError` for whatever is not a `DistillbenchError` already.
        """
        try:
            with printing_to_stderr():
                yield
        except (DistillbenchError, Interrupted, KeyboardInterrupt):
            raise
        except (
            BaseException
        ) as error:  # SystemExit too: nothing of a third party's ends a command without a word
            raise PluginError(f"{self.title} failed: {reason_of(error)}") from error


@dataclass(frozen=True)
class Plugin:
    """One plugin that was loaded.

    The name of its entry point, its module and the distribution that brought it.
    """

    name: str
    module: ModuleType
    distribution: str

    @property
    def version(self) -> str:
        """The distribution's version."""
        try:
            return installed_version(self.distribution)
        except PackageNotFoundError:
            return _UNKNOWN

    @property
    def summary(self) -> str:
        """The first line of the module's docstring."""
        return (inspect.getdoc(self.module) or "").partition("\n")[0]


@dataclass(frozen=True)
class Failure:
    """A plugin, or one thing a plugin offered, that cannot be used, and why.

    component: the name of that thing.
    """

    plugin: str
    distribution: str
    version: str
    reason: str
    component: str = ""

    def concerns(self, name: str) -> bool:
        """Tells whether this name is that of a plugin that failed."""
        return name in (self.plugin, self.component)


class Registry:
    """What is installed: components by kind and name, the failures, and the hooks to call."""

    def __init__(
        self,
        components: Iterable[Component],
        failures: Iterable[Failure],
        hooks: pluggy.PluginManager,
    ) -> None:
        self._components = {(KINDS[c.kind].chosen_by, c.name): c for c in components}
        self.failures = tuple(failures)
        self.hooks = hooks

    def __iter__(self) -> Iterator[Component]:
        return iter(self._components.values())

    def names(self, kind: str) -> list[str]:
        """Lists the names of a kind's components, or of all kinds that a setting chooses from."""
        return [name for (k, name) in self._components if k == kind]

    def find(self, kind: str, name: str) -> Component | None:
        """Returns the component of that kind and name, or None.

        The kind may also be one that the same setting chooses from.
        """
        section = KINDS[kind].chosen_by if kind in KINDS else kind
        found = self._components.get((section, name))
        return found if found is None or section == kind or found.kind == kind else None

    def observers(self) -> dict[str, Plugin]:
        """Lists the plugins that observe runs, by the name of their entry point."""
        implementations = [
            i for hook in OBSERVER_HOOKS for i in getattr(self.hooks.hook, hook).get_hookimpls()
        ]
        found = [_plugin(i.plugin_name, i.plugin) for i in implementations]
        return {plugin.name: plugin for plugin in sorted(found, key=lambda plugin: plugin.name)}

    @property
    def plugins(self) -> list[Plugin]:
        """Every plugin that was loaded, whatever it offers."""
        return [
            _plugin(name, module)
            for name, module in self.hooks.list_name_plugin()
            if isinstance(module, ModuleType)
        ]

    def missing(self, kind: str, name: str) -> str:
        """Makes the message about a name that is not there.

        It has the name, the nearest one, those that exist, and a plugin that failed.
        """
        names = self.names(kind)
        message = (
            f"no {kind} is called '{name}'{nearest(name, names)}; there are:"
            f" {', '.join(names) or 'none'}"
        )
        broken = [f for f in self.failures if f.concerns(name)]
        return message + "".join(
            f" (the plugin '{f.plugin}' of {f.distribution} failed to load: {f.reason})"
            for f in broken
        )

    def sweep_file(self, name: str) -> Path:
        """Returns the sweep file of that name.

        Raises `ConfigError` where no plugin brings it.
        """
        found: dict[str, Path] = {}
        failed = ""
        for implementation in self.hooks.hook.sweep_files.get_hookimpls():
            try:
                with printing_to_stderr():
                    offered: Mapping[str, Path] = implementation.function()  # type: ignore[assignment]
                    found = {str(key): Path(path) for key, path in offered.items()} | found
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a third party's hook may raise anything
                failed += (
                    f" (the sweep files of {implementation.plugin_name} failed: {reason_of(error)})"
                )
        if name not in found:
            known = ", ".join(sorted(found)) or "none"
            raise ConfigError(
                [
                    f"no sweep file is called '{name}'{nearest(name, found)}; there are: {known}; "
                    f"a file of yours is named with its ending, such as {name}.toml{failed}"
                ]
            )
        return found[name]


_Entry = tuple[str, str, EntryPoint]
"""A distribution's name, its version, and an entry point of it."""


def discover(kind: str = "") -> Registry:
    """Loads every entry point of the group `distillbench`.

    A broken plugin becomes a failure, never an exception.

    kind: only plugins that may offer components of this kind are loaded; its components are then
        the same as ever, and those of other kinds are not to be looked for.

    What plugins print while they are imported and called goes to standard error. Raises
    `Interrupted` where the user stops it, which names the plugin that was at work.
    """
    with printing_to_stderr():
        wanted = KINDS[kind].hook if kind else ""
        entries, failures = _entry_points()
        known = _KNOWN.get(wanted)
        if known is not None and not failures and known.holds(entries):
            return known.registry
        found = _discovered(wanted, entries, failures)
        if not found.failures:  # what failed is tried again
            _KNOWN[wanted] = _Known(entries, list(sys.path), _modules(entries), found)
        return found


@dataclass(frozen=True)
class _Known:
    """What was found, which holds until something else is installed or imported.

    Looking at every class takes a tenth of a second, and a process may ask many times.
    """

    entries: list[_Entry]
    path: list[str]  # where modules are looked for
    modules: list[ModuleType | None]
    registry: Registry

    def holds(self, entries: list[_Entry]) -> bool:
        """Tells whether the same would be found again."""
        return (entries, sys.path) == (self.entries, self.path) and all(
            one is other for one, other in zip(_modules(entries), self.modules, strict=True)
        )


_KNOWN: dict[str, _Known] = {}
"""By the hook that was asked for."""


def _modules(entries: list[_Entry]) -> list[ModuleType | None]:
    return [sys.modules.get(entry.module) for _, _, entry in entries]


def _discovered(wanted: str, entries: list[_Entry], problems: list[Failure]) -> Registry:
    hooks = pluggy.PluginManager(GROUP)
    hooks.add_hookspecs(hookspecs)
    components: dict[tuple[str, str], Component] = {}
    failures = list(problems)
    entry_names: dict[str, str] = {}
    for owner, version, entry in entries:
        taken_by = entry_names.setdefault(entry.name, owner)
        if taken_by != owner:
            reason = (
                f"the entry point name '{entry.name}' is taken by {taken_by}; its components were"
                " loaded all the same"
            )
            failures.append(Failure(entry.name, owner, version, reason))
        with _interruptible(f"importing the plugin '{entry.name}' of {owner} {version}"):
            if wanted and not may_implement(entry, wanted):
                continue
            module, reason = _load(hooks, entry, f"{owner}:{entry.name}")
        if module is None:
            failures.append(Failure(entry.name, owner, version, reason))
            continue
        with _interruptible(f"calling the hooks of the plugin '{entry.name}' of {owner} {version}"):
            offers = list(_offers(hooks, module))
        for kind, name, offered, reason in offers:
            known = components.get((KINDS[kind].chosen_by, name))
            if known is not None:
                reason = (
                    f"the {kind} name '{name}' is taken by {known.distribution} {known.version}"
                )
            if reason:
                failures.append(Failure(entry.name, owner, version, reason, name))
            elif isinstance(offered, type):
                components[KINDS[kind].chosen_by, name] = Component(
                    kind, name, offered, owner, version
                )
    kinds = list(KINDS)
    ordered = sorted(components.values(), key=lambda c: kinds.index(c.kind))
    return Registry(ordered, failures, hooks)


@contextmanager
def _interruptible(doing: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"stopped while {doing}") from error


def _entry_points() -> tuple[list[_Entry], list[Failure]]:
    """Lists (distribution, version, entry point), each distribution once.

    distillbench comes first, the others by name.

    A distribution whose files cannot be read is a failure; one without a name is none at all.
    """
    seen: set[str] = set()
    found, failures = list[_Entry](), list[Failure]()
    for distribution in distributions():
        name, version = _name_and_version(distribution)
        if not name or name.lower() in seen:
            continue
        seen.add(name.lower())
        try:
            found += [(name, version, e) for e in distribution.entry_points if e.group == GROUP]
        except Exception as error:  # text that is no UTF-8, a file that must not be read
            reason = f"its entry points cannot be read: {reason_of(error)}"
            failures.append(Failure(name, name, version, reason))
    return sorted(found, key=lambda each: (each[0] != GROUP, each[0])), failures


def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    """Reads what a distribution is called.

    Nothing where its metadata is missing or damaged, as pip may leave it.
    """
    try:
        head = (distribution.read_text("METADATA") or "").partition("\n\n")[0]
        found = dict(reversed(_FIELD.findall(head)))
        if len(found) == 2:  # parsing all of it, with the description, takes most of a second
            return found["Name"], found["Version"]
        metadata = distribution.metadata
        return (
            str(metadata["Name"]) if "Name" in metadata else "",
            str(metadata["Version"]) if "Version" in metadata else _UNKNOWN,
        )
    except Exception:
        return "", _UNKNOWN


def _load(
    hooks: pluggy.PluginManager, entry: EntryPoint, name: str
) -> tuple[ModuleType | None, str]:
    """Imports and registers one plugin: the module, or None and why not."""
    try:
        module = entry.load()
        if not isinstance(module, ModuleType):
            return None, f"'{entry.value}' is {quoted(module)}; a plugin is a module"
        if hooks.is_registered(module):
            return (
                None,
                f"the module '{entry.value}' is already registered under another entry point",
            )
        known = [*(kind.hook for kind in KINDS.values()), *OBSERVER_HOOKS, "sweep_files"]
        unknown = [
            n for n in dir(module) if n not in known and hooks.parse_hookimpl_opts(module, n)
        ]
        if unknown:
            return None, "; ".join(f"unknown hook '{n}'{nearest(n, known)}" for n in unknown)
        hooks.register(module, name=name)
    except KeyboardInterrupt:
        raise
    except (
        BaseException
    ) as error:  # whatever a third party's module raises must not take the command down
        return None, reason_of(error)
    return module, ""


def _offers(
    hooks: pluggy.PluginManager, module: ModuleType
) -> Iterator[tuple[str, str, object, str]]:
    """Yields (kind, name, offered, problem) for everything that a plugin's hooks return."""
    for kind, hook in ((kind.name, kind.hook) for kind in KINDS.values()):
        for implementation in getattr(hooks.hook, hook).get_hookimpls():
            if implementation.plugin is not module:
                continue
            try:
                pairs, reason = _pairs(hook, implementation.function())
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                pairs, reason = [], f"its hook '{hook}' failed: {reason_of(error)}"
            if reason:
                yield kind, "", None, reason
            for name, cls in pairs:
                wrong = wrong_name(kind, name)
                if wrong:
                    yield kind, "", None, f"its hook '{hook}' offers {wrong}"
                    continue
                wrong = wrong_class(kind, cls)
                yield kind, str(name), cls, f"the {kind} '{name}' {wrong}" if wrong else ""


def _pairs(hook: str, offered: object) -> tuple[list[tuple[object, object]], str]:
    """Lists the names and classes that a hook returned, or none and why not."""
    if not isinstance(offered, Mapping):
        return (
            [],
            (
                f"its hook '{hook}' returned {quoted(offered)}; it returns a mapping from name to"
                " class"
            ),
        )
    return [(name, cls) for name, cls in offered.items()], ""


def _plugin(registered: str, module: ModuleType) -> Plugin:
    distribution, _, name = registered.partition(":")
    return Plugin(name, module, distribution)
