"""`distillbench plugins`: lists the installed components, or describes one."""

from __future__ import annotations

from typing import Annotated

import typer


def plugins(
    name: Annotated[
        str | None, typer.Argument(help="Print the documentation and knobs of this component.")
    ] = None,
) -> None:
    """List every installed component by kind, and every plugin that failed to load."""
    from distillbench.cli.render import listing
    from distillbench.registry.discovery import discover

    registry = discover()
    if name is None:
        listing.all_components(registry)
    else:
        listing.one_component(registry, name)
