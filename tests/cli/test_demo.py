"""`distillbench demo` ends with a board and a page, and shows them again without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY

Command = Callable[..., tuple[int, str, str]]


def test_the_demo_prints_a_board_and_the_address_of_its_page(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Path(__file__).parents[2] / "plugins/distillbench_plugins/sweeps/demo.toml"
    small = "".join(f"set.{each.replace('=', ' = ')}\n" for each in TINY)
    text = (
        shipped.read_text()
        .replace("\n[[grid]]", f"\n{small}\n[[grid]]", 1)
        .replace("k = 15", "k = 4")
    )
    (tmp_path / "demo").write_text(text)  # a file of that name comes before the shipped one
    monkeypatch.chdir(tmp_path)
    code, told, err = command("demo")
    assert code == 0, err
    assert [name for name in ("teacher", "scratch", "serial") if f"hrnn {name}" not in told] == []
    (address,) = [line for line in told.splitlines() if line.startswith("open file://")]
    page = Path(address.removeprefix("open file://"))
    assert page == tmp_path / "results/demo/site/index.html"
    assert "What distillbench does" in page.read_text(encoding="utf-8")
    code, again, planned = command("demo")
    assert (code, again.count("hrnn")) == (0, told.count("hrnn"))
    assert "3 stored already" in planned
