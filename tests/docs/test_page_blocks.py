"""Blocks are found with what is said of them, and one that does not work does not pass."""

from __future__ import annotations

from pathlib import Path

import page_blocks
import pytest
from page_blocks import Block, blocks_of, without_blocks
from page_stage import Stage, masked, smaller
from remote_server import Server

PAGE = """\
# A page
<!-- not run: needs a cluster of hours -->
```
distillbench sweep   # many
```
`settings.toml` holds it:
```toml
k = 6
```

<!-- not run, "fetch": downloads from somewhere else -->
<!-- not run, "torchrun": starts processes that take long -->
~~~shell
distillbench data fetch x \\
    --to y
distillbench plugins
torchrun x
~~~
- a list
  ```python
  if 1:
      print()
  ```
"""


@pytest.fixture
def blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Block]:
    monkeypatch.setattr(page_blocks, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(PAGE)
    return blocks_of(tmp_path / "page.md")


def test_blocks_are_found_with_their_lines_and_languages(blocks: list[Block]) -> None:
    found = [(str(block), block.language) for block in blocks]
    assert found == [("page.md:3", ""), ("page.md:7", "toml"), ("page.md:13", "shell"), ("page.md:20", "python")]  # fmt: skip
    assert blocks[3].text == "if 1:\n    print()\n"
    assert blocks[1].file_name == "settings.toml"


def test_commands_are_whole_lines_without_comments(blocks: list[Block]) -> None:
    assert blocks[0].commands == ["distillbench sweep"]
    assert blocks[2].commands == [
        "distillbench data fetch x --to y",
        "distillbench plugins",
        "torchrun x",
    ]


def test_a_comment_is_about_its_block_or_some_of_its_lines(blocks: list[Block]) -> None:
    assert [block.is_run for block in blocks] == [False, True, True, True]
    assert blocks[0].reason_for("distillbench sweep") == "needs a cluster of hours"
    assert [blocks[2].reason_for(line) is None for line in blocks[2].commands] == [
        False,
        True,
        False,
    ]


def test_what_is_outside_of_blocks_has_neither_blocks_nor_their_comments(
    blocks: list[Block], tmp_path: Path
) -> None:
    assert without_blocks(tmp_path / "page.md").split() == [
        "#",
        "A",
        "page",
        "`settings.toml`",
        "holds",
        "it:",
        "-",
        "a",
        "list",
    ]


def test_numbers_keys_and_widths_may_differ_and_words_may_not() -> None:
    assert masked("8bac22  hrnn   0.8962 ± 0.005  4.29 M\n") == masked(
        "1f218f hrnn 0.5 ± 0.1 49 k\n"
    )
    assert masked("uniform-15  ce") != masked("uniform-15  kd")


def test_a_command_of_the_page_comes_before_what_makes_it_small() -> None:
    assert "data.train=64" in smaller(["distillbench", "run", "--data", "digits"])
    assert "data.train=64" not in smaller(["distillbench", "run", "--data", "npy"])
    assert smaller(["distillbench", "sweep", "table1", "--dry-run"]) == []
    assert smaller(["torchrun", "-m", "distillbench", "run"])[:2] == ["--epochs", "1"]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("", "frobnicate"),
        ("", "distillbench plugins"),
        ("", "pip install 'distillbench[no-such-extra]'"),
        ("text", "what nothing printed"),
        ("yaml", "a: 1"),
        ("python", "assert False"),
        ("toml", "a = ["),
    ],
)
def test_a_block_that_does_not_work_does_not_pass(
    language: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*words: object) -> tuple[int, str, str]:
        return 2, "", "error: it does not work"

    def serve() -> Server:
        raise ValueError("nothing is served here")

    block = Block("page.md", 1, language, f"{text}\n", "", "")
    with pytest.raises((AssertionError, ValueError)):
        Stage(failing, monkeypatch, tmp_path, serve).do(block)
