"""`distillbench plugins`: what is installed, what failed, and one component in full."""

from __future__ import annotations

from typing import Annotated

import typer


def plugins(
    name: Annotated[
        str | None, typer.Argument(help="Show one component: its documentation and knobs.")
    ] = None,
) -> None:
    """List every component by kind, with its distribution, and every plugin that failed to load."""
    from distillbench.cli.render import listing
    from distillbench.registry.discovery import discover

    registry = discover()
    if name is None:
        listing.all_components(registry)
    else:
        listing.one_component(registry, name)
