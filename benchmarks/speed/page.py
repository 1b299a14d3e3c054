"""How long does the page of 1,000 runs take to open? `python benchmarks/speed/page.py` writes `benchmarks/speed/page.csv`.

It needs the extra `browser` and Chromium. The runs are made up: 1,000 methods of one seed each, the most rows that they can be, with
40 epochs of two networks. Opening is from the request for the file to the board as it stands, with its first 50 rows, in a
browser that has not seen the page before; single runs and curves are timed from the click. Medians of `REPEATS`.
"""

from __future__ import annotations

import dataclasses
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from distillbench.analysis.loading import Loaded
from distillbench.page.content import Content
from distillbench.page.site import write_site
from distillbench.results.store import Result
from distillbench.testing import toy_runs
from measuring import Row, compared, keep

RUNS, EPOCHS, REPEATS = 1000, 40, 7
READY = "document.documentElement.dataset.ready === (location.hash || '#')"


def made_up() -> Content:
    """Makes the content of a page of runs that never were."""
    rows = [{"schedule": f"toy-{number}", "k": 4 + number % 27} for number in range(RUNS)]
    results = tuple(_longer(each, n) for n, each in enumerate(toy_runs.results(rows)))
    return Content(Loaded(results, ()), print)


def _longer(result: Result, number: int) -> Result:
    draws = np.random.default_rng(number).random((EPOCHS, 2, 6)).tolist()
    history = [
        {
            "phase": "student",
            "epoch": epoch,
            "seconds": 0.5,
            "networks": {
                network: {
                    "terms": {"one": values[0], "two": values[1]},
                    "validation": {"gap": values[2], "map_at_20": values[3], "perr": values[4]},
                    "best": 1,
                }
                for network, values in zip(("teacher", "student"), drawn, strict=True)
            },
        }
        for epoch, drawn in enumerate(draws, 1)
    ]
    return dataclasses.replace(result, content={**result.content, "history": history})


def wait(page: Any) -> None:
    """Waits until the view is that of the address."""
    while not page.evaluate(READY):
        page.wait_for_timeout(2)


def main() -> None:
    began = time.perf_counter()
    content = made_up()
    with tempfile.TemporaryDirectory() as folder:
        path = write_site(content, Path(folder))
        making, size = time.perf_counter() - began, path.stat().st_size
        opened, run, cost = [], [], []
        with sync_playwright() as running:
            browser = running.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for _ in range(REPEATS):
                page = browser.new_context(viewport={"width": 1600, "height": 1000}).new_page()
                start = time.perf_counter()
                page.goto(path.as_uri())
                wait(page)
                opened.append(time.perf_counter() - start)
                for seconds, view in ((run, "view=run&run=toy500"), (cost, "view=cost")):
                    start = time.perf_counter()
                    page.evaluate(f"location.hash = '{view}'")
                    wait(page)
                    seconds.append(time.perf_counter() - start)
                page.context.close()
    name = f"page of {RUNS:,} runs"
    rows: list[Row] = [
        compared(
            f"{name}, board drawn (2 s at most)", "s", statistics.median(opened), runs=REPEATS
        ),
        compared(f"{name}, a run opened", "s", statistics.median(run), runs=REPEATS),
        compared(
            f"{name}, quality against cost opened", "s", statistics.median(cost), runs=REPEATS
        ),
        compared(f"{name}, size (5 MB at most)", "MB", size / 1e6),
        compared(f"{name}, made", "s", making),
    ]
    keep(rows, Path(__file__).with_suffix(".csv"))


if __name__ == "__main__":
    main()
