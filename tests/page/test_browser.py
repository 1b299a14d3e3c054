"""The page in a real browser: what a reader sees, does and cannot be made to do."""

from __future__ import annotations

import csv
import io
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from page.made_up_page import FORMULA, HOSTILE, content, loaded
from running import metrics

from distillbench.analysis.comparison import settings_that_differ
from distillbench.cli.render.escaping import latex, one_line, spreadsheet
from distillbench.page.content import Content, found_in
from distillbench.page.looks import DARK
from distillbench.page.server import Followed, PageServer
from distillbench.page.site import write_site
from distillbench.results.store import Result

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed"),
]

VIEWS = (
    *("", "view=cost", "view=cost&x=latency", "view=budget", "view=learning"),
    *("view=compare", "view=compare&a=toy0&b=toy4", "view=run&run=toy0", "view=run&run=toy9"),
    *("view=run&run=failed0", "view=run&run=nobody", "view=nowhere", "sort=nothing&page=99&k=0"),
    *("view=run&run=__proto__", "view=constructor&data=toString&cols=x&y=z&x=__proto__&h=q"),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        # Chromium's own sandbox needs rights that containers lack.
        yield running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("site")
    return write_site(content(more=60), folder).as_uri()


class Reader:
    """A page in a browser, and everything that went wrong in it or left it."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.wrong: list[str] = []
        page.on("console", lambda message: self.wrong.append(message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog {dialog.message}"))
        page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if request.url.partition("#")[0] != self.address:
            self.wrong.append(f"asked for {request.url}")

    def open(self, state: str = "") -> Any:
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}#{state}")
        self.settle()
        return self.page

    def settle(self) -> None:
        """Waits until the view is that of the address."""
        # Not by `wait_for_function`, whose polling is text that the page's policy does not run.
        for _ in range(1500):
            if self.page.evaluate(
                "document.documentElement.dataset.ready === (location.hash || '#')"
            ):
                return
            self.page.wait_for_timeout(20)
        raise TimeoutError(self.page.url)

    def methods(self) -> list[str]:
        return list(self.page.locator("#view tbody th a").all_inner_texts())

    def state(self) -> str:
        return str(self.page.evaluate("decodeURIComponent(location.hash)"))


@pytest.fixture
def read(browser: Any, site: str) -> Iterator[Callable[..., Reader]]:
    contexts = []

    def opened(width: int = 1600, scheme: str = "light", address: str = site) -> Reader:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        return Reader(context.new_page(), address)

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_complains_asks_the_network_or_flows_over(
    read: Callable[..., Reader], width: int, scheme: str
) -> None:
    reader = read(width, scheme)
    for view in VIEWS:
        page = reader.open(view)
        page.wait_for_timeout(100)
        assert reader.wrong == [], view
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        assert page.locator("#view").inner_text().strip(), view
        assert page.locator("#view .chart svg").count() == page.locator("#view .chart").count()


def test_charts_without_a_goal_and_without_intervals_are_drawn(
    read: Callable[..., Reader], make_result: Callable[..., Result], tmp_path: Path
) -> None:
    result = make_result(schedule="scratch")
    (result.path.parent / result.record.files.predictions).unlink()
    found = found_in([result.path.parent], metrics(), print)
    address = write_site(Content(found, print), tmp_path / "site").as_uri()
    reader = read(address=address)
    for view in ("", "view=cost", "view=budget", "view=learning", f"view=run&run={result.id}"):
        page = reader.open(view)
        assert page.locator("#view .chart svg").count() == page.locator("#view .chart").count()
    assert "no goal" in reader.open("view=budget").locator("#view").inner_text()
    assert reader.wrong == []


def test_a_dark_ground_for_those_who_prefer_it(read: Callable[..., Reader]) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    red, green, blue = (int(DARK[at : at + 2], 16) for at in (1, 3, 5))
    assert read(scheme="dark").open().evaluate(ground) == f"rgb({red}, {green}, {blue})"
    assert read(scheme="light").open().evaluate(ground) == "rgb(255, 255, 255)"


def test_names_that_are_markup_are_shown_and_do_nothing(read: Callable[..., Reader]) -> None:
    reader = read()
    for view in VIEWS:
        page = reader.open(view)
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 4
    assert reader.wrong == []
    page = reader.open(f"q={'alert(1)'}")
    assert any("</script><script>alert(1)" in method for method in reader.methods())
    assert "onerror=alert(1)" in page.title()
    assert "{{title}}" in read().open("q=datum").locator("#view tbody").inner_text()


def test_a_click_on_a_heading_sorts_and_another_turns_it(read: Callable[..., Reader]) -> None:
    reader = read()
    page = reader.open()
    heading = page.locator("thead th", has_text="MACs").first
    heading.locator("button").click()
    reader.settle()
    assert heading.get_attribute("aria-sort") == "ascending"
    up = page.locator("tbody tr").first.inner_text()
    heading.locator("button").click()
    reader.settle()
    assert heading.get_attribute("aria-sort") == "descending"
    assert page.locator("tbody tr").first.inner_text() != up
    assert "sort=macs:down" in reader.state()


def test_rows_come_in_pages_of_50(read: Callable[..., Reader]) -> None:
    reader = read()
    page = reader.open()
    assert page.locator("tbody tr").count() == 50
    page.get_by_role("button", name="Next").click()
    reader.settle()
    assert page.locator("tbody tr").count() == 22
    assert "rows 51 to 72 of 72" in page.locator("nav.pager").inner_text()


def test_filters_and_search_narrow_the_rows_and_are_in_the_address(
    read: Callable[..., Reader],
) -> None:
    reader = read()
    page = reader.open()
    page.locator("details[data-name=schedule] summary").click()
    page.locator("details[data-name=schedule]").get_by_label("toy-b", exact=False).check()
    reader.settle()
    assert page.locator("#status").inner_text() == "2 of 72 rows shown"
    page.get_by_label("search").fill("k 10")
    reader.settle()
    linked = read()
    linked.open(page.evaluate("location.hash.slice(1)"))
    assert linked.methods() == reader.methods()
    page.get_by_role("button", name="Show all").click()
    reader.settle()
    assert page.locator("#status").inner_text() == "72 of 72 rows shown"


def test_going_back_returns_to_the_rows_that_were_left(read: Callable[..., Reader]) -> None:
    reader = read()
    page = reader.open("q=toy-b")
    before = reader.methods()
    page.locator("tbody th a").first.click()
    reader.settle()
    assert page.locator("h2").inner_text().startswith("toy-b")
    page.go_back()
    reader.settle()
    assert reader.methods() == before


def test_all_is_done_by_keyboard_and_the_focus_stays(read: Callable[..., Reader]) -> None:
    reader = read()
    page = reader.open()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("thead button", has_text="latency").focus()
    page.keyboard.press("Enter")
    reader.settle()
    assert page.evaluate("document.activeElement.textContent") == "latency ↑"
    page.locator("details[data-name=cols] summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    reader.settle()
    assert page.evaluate("document.activeElement.type") == "checkbox"
    assert page.locator("details[data-name=cols]").get_attribute("open") is not None
    page.keyboard.press("Escape")
    assert page.locator("details[data-name=cols]").get_attribute("open") is None
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_everything_that_is_used_has_a_name_and_tables_are_tables(
    read: Callable[..., Reader],
) -> None:
    reader = read()
    for view in VIEWS:
        page = reader.open(view)
        nameless = page.evaluate(
            """[...document.querySelectorAll('input, select, button, textarea, a, summary')].filter(
                each => !(each.textContent.trim() || each.getAttribute('aria-label')
                          || (each.labels && each.labels.length))).map(each => each.outerHTML)"""
        )
        assert nameless == []
        assert page.locator("table").count() == page.locator("table > caption").count()
        assert page.locator("thead th:not([scope=col]), tbody th:not([scope=row])").count() == 0
        assert page.locator(".box:not([tabindex='0'])").count() == 0


def test_the_front_is_of_rows_that_no_other_beats(read: Callable[..., Reader]) -> None:
    page = read().open("view=cost&x=macs&y=gap")
    rows = [row["cells"] for row in content(more=60).board["rows"] if "gap" in row["cells"]]
    points = [(cells["macs"]["value"], cells["gap"]["value"]) for cells in rows]
    front = sorted(
        (cost, quality)
        for cost, quality in points
        if not any((c <= cost and q > quality) or (c < cost and q >= quality) for c, q in points)
    )
    shown = page.locator("#view tbody td:last-child").all_inner_texts()
    assert [text.split()[0] for text in shown] == [f"{quality:.4f}" for _, quality in front]


def test_pointing_at_a_mark_tells_its_row_and_a_click_opens_it(
    read: Callable[..., Reader],
) -> None:
    reader = read()
    page = reader.open("view=cost&q=toy-b")
    mark = page.locator(".chart svg .mark-symbol path").last
    mark.wait_for()
    mark.hover()
    assert page.locator("#tip").inner_text().startswith("toy-b")
    mark.click()
    reader.settle()
    assert page.locator("h2").inner_text().startswith("toy-b")


def test_two_rows_are_compared_as_the_command_does(read: Callable[..., Reader]) -> None:
    reader = read()
    page = reader.open("q=toy-a")
    boxes = page.locator("tbody input[type=checkbox]")
    for place in (0, 1):
        boxes.nth(place).check()
        reader.settle()
    page.get_by_role("link", name="Compare the two").click()
    reader.settle()
    told = page.locator("#view").inner_text()
    assert "The difference, paired by video and by seed" in told
    page = reader.open("view=compare&a=toy0&b=toy4")
    rows = page.locator("table", has_text="Settings that differ").locator("tbody tr")
    shown = [row.locator("th, td").all_inner_texts() for row in rows.all()]
    results = {result.id: result for result in loaded(60).results}
    expected = settings_that_differ(results["toy0"], results["toy4"])
    assert [tuple(row) for row in shown] == list(expected)
    first = page.locator("table", has_text="A − B").locator("tbody tr").first
    difference = first.locator("td").nth(2).inner_text()
    page.get_by_role("button", name="Swap").click()
    reader.settle()
    turned = first.locator("td").nth(2).inner_text()
    assert {difference[0], turned[0]} == {"+", "−"}
    assert difference[1:] == turned[1:]


def test_csv_and_latex_hold_what_is_shown_and_names_stand_for_themselves(
    read: Callable[..., Reader],
) -> None:
    reader = read()
    page = reader.open("q=onerror&cols=schedule|gap|k")
    page.get_by_role("button", name="CSV").click()
    heads, *rows = csv.reader(io.StringIO(page.locator("dialog textarea").input_value()))
    assert heads == [
        "run",
        "method",
        "gap",
        "gap_low",
        "gap_high",
        "gap_mark",
        "k",
        "schedule",
        "tags",
    ]
    assert len(rows) == 2
    assert {row[7] for row in rows} == {spreadsheet(HOSTILE)}
    assert all(float(row[3]) < float(row[2]) < float(row[4]) for row in rows)
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="LaTeX").click()
    text = page.locator("dialog textarea").input_value()
    assert latex(one_line(HOSTILE)) in text
    assert text.count(r" \\") == 3
    assert reader.wrong == []


def test_a_formula_is_text_to_a_spreadsheet_and_can_be_filtered_by(
    read: Callable[..., Reader],
) -> None:
    reader = read()
    page = reader.open("cols=schedule")
    page.locator("details[data-name=schedule] summary").click()
    page.locator("details[data-name=schedule]").get_by_label(FORMULA, exact=False).check()
    reader.settle()
    assert page.locator("tbody tr").count() == 2
    page.get_by_role("button", name="CSV").click()
    _, *rows = csv.reader(io.StringIO(page.locator("dialog textarea").input_value()))
    assert {row[2] for row in rows} == {"'" + FORMULA}


def test_controls_failures_and_what_is_unfinished_are_shown_as_that(
    read: Callable[..., Reader],
) -> None:
    page = read().open("role=control")
    assert page.locator("tbody tr .tag").all_inner_texts() == ["control"]
    page = read().open("status=failed")
    row = page.locator("tbody tr").first
    assert row.locator(".tag").last.inner_text() == "failed"
    row.locator("th a").click()
    page.locator("h2").wait_for()
    assert "failed: " in page.locator("#view").inner_text()


@pytest.fixture
def server(make_result: Callable[..., Result]) -> Iterator[PageServer]:
    folder = make_result(schedule="scratch").path.parent
    with PageServer(Followed([folder], metrics(), print), 0) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_a_live_page_shows_new_runs_and_keeps_what_the_reader_typed(
    read: Callable[..., Reader], server: PageServer, make_result: Callable[..., Result]
) -> None:
    reader = read(address=server.url)
    page = reader.page
    page.add_init_script(
        "window.setTimeout = (f, t, ...a) => setInterval.call(window, () => 0, 1e9) && (t > 1000 ? (window.poll = f) : queueMicrotask(f))"
    )
    page.goto(server.url)
    page.get_by_label("search").type("uniform")
    reader.settle()
    assert page.locator("tbody tr").count() == 1
    make_result(schedule="serial")
    page.evaluate("window.poll()")
    page.locator("tbody tr").nth(1).wait_for()
    assert page.get_by_label("search").input_value() == "uniform"
    assert page.evaluate("document.activeElement.name") == "q"
    reader.wrong = [line for line in reader.wrong if not line.startswith(f"asked for {server.url}")]
    assert reader.wrong == []


def test_without_results_a_live_page_waits(read: Callable[..., Reader], tmp_path: Path) -> None:
    with PageServer(Followed([tmp_path], metrics(), print), 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        page = read(address=server.url).page
        page.goto(server.url)
        page.get_by_text("No results yet").wait_for()
        server.shutdown()
        thread.join()
