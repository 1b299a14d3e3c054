"""What a plugin's source shows of its offers, without importing it.

Importing every plugin takes seconds, for most import torch. What reads results needs the metrics
alone.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

_HIDDEN = re.compile(
    r"specname|import\s*\*|sys\.modules|__dict__|__dir__"
    r"|(?<![.\w])(?:globals|locals|vars|exec|eval)\s*\("
)
"""By which a module may have names that its source does not show."""


def may_implement(entry: EntryPoint, hook: str) -> bool:
    """Tells whether the module of an entry point may implement a hook.

    False only where its source shows that it does not: no name of the module is the hook's, and
    nothing makes names that cannot be seen. Packages around the module are imported.
    """
    try:
        found = importlib.util.find_spec(entry.module)
        if found is None or found.origin is None or not found.origin.endswith(".py"):
            return True
        source = Path(found.origin).read_bytes().decode()
        return bool(_HIDDEN.search(source)) or (
            hook in source and hook in _names(ast.parse(source).body)
        )
    except KeyboardInterrupt:
        raise
    except BaseException:  # importing it says what is wrong
        return True


def _names(statements: list[ast.stmt]) -> Iterator[str]:
    """Yields every name that statements may give to their module."""
    waiting: list[ast.AST] = list(statements)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
            continue  # names within it are its own
        if isinstance(node, ast.alias):
            yield node.asname or node.name
        elif isinstance(node, ast.Name):
            yield node.id
        waiting += ast.iter_child_nodes(node)
