"""The one place that prints to a terminal, and prints every name as plain text.

Names come from data, files, plugins and results. Rich would read `[red]` in a class name as a
color and fail on `[/x]`, and a terminal executes escape sequences. Here strings are never markup,
and control characters are removed. Text with colors is made by `styled`.
"""

from __future__ import annotations

from collections.abc import Iterable

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Span, Text

from distillbench.cli.render.escaping import printable

_WIDE = 160
_PLACEHOLDER = "\ue000"  # from the private use area, so no template contains it


def styled(template: str, *values: object) -> Text:
    """Fills the `{}` of a template with values; only the markup of the template is markup.

    Values are inserted after the markup was parsed, because `rich.markup.escape` does not protect
    every text: a backslash before a bracket is lost.
    """
    parsed = Text.from_markup(template.replace("{}", _PLACEHOLDER), emoji=False)
    plain, spans = parsed.plain, parsed.spans
    position = len(plain)
    # From the last value to the first, so that positions before the current one stay valid.
    for value in reversed(values):
        text = printable(str(value))
        position = plain.rindex(_PLACEHOLDER, 0, position)
        plain = plain[:position] + text + plain[position + 1 :]
        spans = [_widened(span, position, len(text) - 1) for span in spans]
    return Text(plain, spans=spans)


def _widened(span: Span, position: int, added: int) -> Span:
    """Moves the ends of a span that lie behind a position where characters were added."""
    start = span.start + added if span.start > position else span.start
    end = span.end + added if span.end > position else span.end
    return Span(start, end, span.style)


def echo(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Prints plain text, such as a table that is text already."""
    typer.echo(printable(text) + end, nl=False, err=err)


def console(*, stderr: bool = False) -> Console:
    """Makes a console for the result of a command, or (`stderr`) for messages about its progress.

    It is as wide as the terminal. Without a terminal it is wide enough for a table.
    """
    made = TextConsole(stderr=stderr)
    return made if made.is_terminal else TextConsole(stderr=stderr, width=_WIDE)


class TextConsole(Console):
    """A console that prints strings as text: no markup, emoji codes or control characters."""

    def __init__(
        self, *, stderr: bool = False, width: int | None = None, plain: bool = False
    ) -> None:
        """plain: without colors, for text that is stored or printed by `echo`."""
        super().__init__(
            stderr=stderr,
            width=width,
            markup=False,
            emoji=False,
            highlight=False,
            force_terminal=False if plain else None,
        )

    def on_broken_pipe(self) -> None:
        """Raises `BrokenPipeError`, for which the command line exits without an error.

        Rich would exit with 1 instead.
        """
        raise BrokenPipeError

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yields the segments to print; the only control codes among them are rich's own."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else printable(segment.text)
            yield Segment(text, segment.style, segment.control)


def complain(text: str) -> None:
    """Prints a line on standard error."""
    echo(text, err=True)
