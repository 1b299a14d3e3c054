"""`distillbench page` and `distillbench serve`: stored results in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_Folders = Annotated[
    list[Path] | None,
    typer.Argument(help="Folders of results; several may be given.", show_default="results"),
]
_Title = Annotated[
    str | None, typer.Option(help="Heading of the page.", show_default="distillbench results")
]
_Open = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]


def page(
    folders: _Folders = None,
    out: Annotated[
        Path, typer.Option(help="Folder where index.html is written; other files stay.")
    ] = Path("site"),
    title: _Title = None,
    open_it: _Open = False,
) -> None:
    """Write stored results as one page that opens in any browser, without a network.

    A board to sort and filter, quality against cost, frame budgets, learning curves, every run,
    and the difference of any two of the best rows.
    """
    from distillbench.cli.render.terminal import complain, echo
    from distillbench.evaluation.metric_set import installed_metrics
    from distillbench.page.content import TITLE, Content, found_in
    from distillbench.page.site import write_site
    from distillbench.registry.discovery import discover

    metrics = installed_metrics(discover("metric"))
    found = found_in(folders or [Path("results")], metrics, complain)
    path = write_site(Content(found, complain, title or TITLE), out)
    echo(f"{path}: {len(found.results)} runs, {path.stat().st_size / 1e6:.1f} MB")
    if open_it:
        typer.launch(path.resolve().as_uri())


def serve(
    folders: _Folders = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of this machine; 0 takes a free one.")
    ] = 8000,
    title: _Title = None,
    open_it: _Open = False,
) -> None:
    """Show the page of distillbench page in a browser, and keep it up to date while runs go on.

    It can be reached from this machine alone. Ctrl-C ends it.
    """
    from distillbench.cli.render.terminal import complain, echo
    from distillbench.evaluation.metric_set import installed_metrics
    from distillbench.page.content import TITLE
    from distillbench.page.server import Followed, PageServer
    from distillbench.registry.discovery import discover

    metrics = installed_metrics(discover("metric"))
    followed = Followed(folders or [Path("results")], metrics, complain, title or TITLE)
    with PageServer(followed, port) as server:
        try:
            echo(f"{server.url} shows these results until Ctrl-C")
            if open_it:
                typer.launch(server.url)
            server.serve_forever()
        except KeyboardInterrupt:
            echo("\nstopped", err=True)
