"""The fenced blocks of every page, and why a block that no test runs is not run.

In front of a block may stand comments, which no reader of the rendered page sees:

- `<!-- not run: REASON -->` is about the whole block;
- `<!-- not run, "WORDS": REASON -->` is about those lines of it that hold the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
)
_FENCED = re.compile(
    r"(?P<comments>(?:^ *<!-- not run(?:(?!-->).)*-->\n)*)"
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[^\n]*)\n"
    r"(?P<text>.*?)^(?P=indent)(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r'<!-- not run(?:, "(?P<words>.+?)")?: (?P<reason>.*?) -->', re.DOTALL)
_NAMED = re.compile(r"`([\w-]+\.toml)`")


@dataclass(frozen=True)
class NotRun:
    """A comment in front of a block: words of the lines that it is about, or none for all."""

    words: str
    reason: str


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    line: where it begins. language: what stands behind the fence. before: the page's text up to it.
    """

    page: str
    line: int
    language: str
    text: str
    before: str
    comments: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @cached_property
    def not_run(self) -> tuple[NotRun, ...]:
        """What the comments in front of the block say."""
        found = _COMMENT.finditer(self.comments)
        return tuple(
            NotRun(each["words"] or "", " ".join(each["reason"].split())) for each in found
        )

    @property
    def is_run(self) -> bool:
        """Whether any of it is run."""
        return all(each.words for each in self.not_run)

    @property
    def is_shell(self) -> bool:
        """Whether it holds commands."""
        return self.language in ("", "shell")

    @property
    def is_output(self) -> bool:
        """Whether it shows what a command prints, or how something is laid out."""
        return self.language == "text"

    @property
    def commands(self) -> list[str]:
        """The commands of a block of them, one line each, without comments."""
        whole = re.sub(r" *\\\n\s*", " ", self.text)
        lines = (f" {line}".partition(" #")[0].strip() for line in whole.splitlines())
        return [line for line in lines if line]

    @property
    def file_name(self) -> str | None:
        """What a TOML or Python block is called: by its first line, or in the paragraph above it."""
        if first := re.match(r"# ([\w-]+\.(?:toml|py))\n", self.text):
            return first[1]
        named = _NAMED.findall(self.before.rstrip().rpartition("\n\n")[2])
        return named[-1] if named and self.language == "toml" else None

    def reason_for(self, command: str) -> str | None:
        """Why a line of the block is not run, or None."""
        return next((each.reason for each in self.not_run if each.words in command), None)


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page, in its order."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    return [
        Block(
            name,
            text.count("\n", 0, found.start("fence")) + 1,
            found["language"].strip(),
            re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
            text[: found.start()],
            found["comments"],
        )
        for found in _FENCED.finditer(text)
    ]


def without_blocks(page: Path) -> str:
    """What a page says outside of its blocks."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
