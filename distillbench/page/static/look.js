// How a method looks: its color, its marker and its line, on the ground that the reader has.

const darkness = matchMedia("(prefers-color-scheme: dark)");
const lookOf = (method) => BOARD.methods[method];
const colorOf = (method) => (darkness.matches ? lookOf(method).dark : lookOf(method).color);

function swatch(method) {
  return svg(
    "svg",
    { class: "swatch", viewBox: "-1.4 -1.4 2.8 2.8", "aria-hidden": "true" },
    svg("path", { d: lookOf(method).shape, fill: colorOf(method) }),
  );
}

function named(row, extra = "") {
  return el(
    "span",
    { class: "name" },
    swatch(row.method),
    el(
      "a",
      { href: addressOf({ view: "run", run: row.runs[0] }), "data-focus": "run" + extra + row.run },
      el("bdi", {}, row.method),
    ),
  );
}

const BAD = new Set(["failed", "not applicable", "stopped"]);

function tagsOf(row) {
  return row.tags.map((tag) =>
    el(
      "span",
      {
        class:
          "tag" +
          (BAD.has(tag) ? " bad" : tag === "still improving" || tag === "control" ? " warn" : ""),
      },
      tag,
    ),
  );
}
