"""`python docs/generate.py`: makes contract.md, cli.md and schema/ from the code, and fills the marked parts of other pages.

A marked part lies between `<!-- made from the code: NAME -->` and `<!-- end -->`. `PARTS` has the
names; where a name needs a word behind it, such as a kind, that follows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from distillbench.scaffold import example
from made_from_code import (
    arms,
    board,
    claims,
    command_line,
    components,
    contract,
    measured,
    schemas,
    speed,
)
from made_from_code.tables import REPOSITORY

HERE = REPOSITORY / "docs"
_FILLED = (
    *("writing-a-plugin", "tutorial", "methods", "zoo", "study", "performance", "measurements"),
    *("video", "export", "scaling", "remote-data"),
)
PAGES = (REPOSITORY / "README.md", *(HERE / f"{name}.md" for name in _FILLED))


def _example(kind: str) -> str:
    return f"```python\n{example(kind, f'my-{kind}')}```\n"


PARTS: Mapping[str, Callable[[], str]] = {
    "commands": command_line.list_of_commands,
    "hooks": components.hooks,
    "contrasts": arms.contrasts,
    "fit": arms.fit,
    "claims": claims.claims,
    "published encoders": measured.published_encoders,
    "end to end": measured.end_to_end,
    "exported students": measured.exported_students,
    "exported networks": measured.exported_networks,
    "feature formats": measured.feature_formats,
    "lstm without bf16": measured.lstm_without_bf16,
    "remote reading": measured.remote_reading,
    "speed": speed.first_rows,
    "make bench": speed.all_rows,
    "fixed costs": speed.fixed_costs,
}
PARTS_OF: Mapping[str, Callable[[str], str]] = {
    "methods": components.methods,
    "board": board.section,
    "arms": arms.arms,
    "example": _example,
    "figures": measured.chosen_columns,
}
_PART = re.compile(r"(<!-- made from the code: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def documents() -> dict[Path, str]:
    """Makes every page that is wholly or in part made from the code: its path and its text."""
    pages = {
        HERE / "contract.md": contract.contract(),
        HERE / "cli.md": command_line.command_line(),
    }
    pages |= {HERE / "schema" / f"{name}.json": text for name, text in schemas.schemas().items()}
    for page in PAGES:
        if page.is_file():
            text = page.read_text(encoding="utf-8")
            pages[page] = _PART.sub(lambda part: part[1] + made(part[2]) + part[3], text)
    return pages


def made(name: str) -> str:
    """Makes the marked part of that name; raises `ValueError` where there is none."""
    if name in PARTS:
        return PARTS[name]()
    family, _, of = name.partition(" ")
    if family not in PARTS_OF:
        raise ValueError(f"no part of a page is called '{name}'")
    return PARTS_OF[family](of)


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(REPOSITORY))
