"""The one place where text reaches a terminal: names from data, files, plugins and results are only ever text.

Rich would read `[red]` in a class name as a colour and fail on `[/x]`, and a terminal obeys escape sequences. Here
strings are never markup, and no control character is passed on. What is to be coloured is written with `styled`.
"""

from __future__ import annotations

from collections.abc import Iterable

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Span, Text

from distillbench.cli.render.escaping import printable

_WIDE = 160
_HOLE = "\ue000"


def styled(template: str, *values: object) -> Text:
    """Fills the `{}` of a template with values as they are; only the template's own markup is markup."""
    drawn = Text.from_markup(template.replace("{}", _HOLE), emoji=False)
    plain, spans, end = drawn.plain, drawn.spans, len(drawn.plain)
    for value in reversed(values):
        text = printable(str(value))
        end = plain.rindex(_HOLE, 0, end)
        plain = plain[:end] + text + plain[end + 1 :]
        longer = len(text) - 1
        spans = [
            Span(
                span.start + longer * (span.start > end),
                span.end + longer * (span.end > end),
                span.style,
            )
            for span in spans
        ]
    return Text(plain, spans=spans)


def echo(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Prints plain text, such as a table that was written as text already."""
    typer.echo(printable(text) + end, nl=False, err=err)


def console(*, stderr: bool = False) -> Console:
    """Makes a console for what a command answers, or (`stderr`) for what it says on the way.

    It is as wide as the terminal, and wide enough for a table where there is none.
    """
    made = TextConsole(stderr=stderr)
    return made if made.is_terminal else TextConsole(stderr=stderr, width=_WIDE)


class TextConsole(Console):
    """A console to which every string is text: no markup, no emoji codes, no control characters."""

    def __init__(
        self, *, stderr: bool = False, width: int | None = None, plain: bool = False
    ) -> None:
        """plain: without colours, for text that is kept or printed by `echo`."""
        super().__init__(
            stderr=stderr,
            width=width,
            markup=False,
            emoji=False,
            highlight=False,
            force_terminal=False if plain else None,
        )

    def on_broken_pipe(self) -> None:
        """Lets the command line end quietly where nobody reads what it prints."""
        raise BrokenPipeError

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yields what is to be written; control codes are rich's own or none."""
        for segment in super().render(renderable, options):
            shown = segment.text if segment.control else printable(segment.text)
            yield Segment(shown, segment.style, segment.control)


def complain(text: str) -> None:
    """Prints a line on standard error."""
    echo(text, err=True)
