"""`python docs/page_pictures.py PAGE`: the pictures in page.md, of a page that `distillbench page` wrote.

It needs the extra `browser`, Chromium and pillow.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FIGURES = Path(__file__).parent / "figures"
PICTURES = {
    "page-wide": (1600, 1000, "light", ""),
    "page-narrow": (400, 800, "light", ""),
    "page-dark": (1200, 900, "dark", "view=cost"),
}
COLORS = 200


def main(address: str) -> None:
    """Takes the pictures of the page at an address."""
    with sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, (width, height, scheme, state) in PICTURES.items():
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page.goto(f"{address}#{state}")
            while not page.evaluate("document.documentElement.dataset.ready"):
                page.wait_for_timeout(20)
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            few = picture.quantize(COLORS, Image.Quantize.MAXCOVERAGE)
            few.save(FIGURES / f"{name}.png", optimize=True)
            page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve().as_uri())
