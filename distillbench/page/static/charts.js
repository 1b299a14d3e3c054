// Charts by Vega-Lite, of values alone: no expression, field or address in them comes from results.

const MOST_NAMED = 14;

function themed(spec) {
  const style = getComputedStyle(document.documentElement);
  const [ink, faint, line] = ["--ink", "--faint", "--line"].map((name) =>
    style.getPropertyValue(name).trim(),
  );
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    width: "container",
    height: 420,
    autosize: { type: "fit", contains: "padding" },
    background: null,
    ...spec,
    config: {
      font: "system-ui, sans-serif",
      view: { stroke: null },
      axis: {
        labelColor: faint,
        titleColor: ink,
        gridColor: line,
        domainColor: line,
        tickColor: line,
        gridOpacity: 0.6,
        labelFontSize: 12,
        titleFontSize: 13,
        titleFontWeight: 400,
      },
    },
  };
}

const DRAWINGS = new WeakMap();

// Keeps what is to be drawn in a box until the box is in the page and has its width.
function draw(box, spec, tell) {
  DRAWINGS.set(box, () => drawn(box, spec, tell));
}

// Whoever points at a mark with a `row` sees that row; a click opens it.
async function drawn(element, spec, tell) {
  const made = await vegaEmbed(element, themed(spec), {
    actions: false,
    ast: true,
    renderer: "svg",
    tooltip: false,
    defaultStyle: false,
  });
  const graphic = element.querySelector("svg");
  if (graphic) graphic.setAttribute("aria-hidden", "true"); // the tables beside say the same
  made.view.addEventListener("mousemove", (event, item) => {
    const row = item && item.datum && BOARD.rows[item.datum.row];
    if (row) showTip(event, tell(row, item.datum));
    else byId("tip").hidden = true;
  });
  made.view.addEventListener("mouseout", () => {
    byId("tip").hidden = true;
  });
  made.view.addEventListener("click", (_, item) => {
    const row = item && item.datum && BOARD.rows[item.datum.row];
    if (row) location.hash = addressOf({ view: "run", run: row.runs[0] });
  });
}

function showTip(event, lines) {
  const tip = byId("tip");
  replaceIn(
    tip,
    lines.map((line, n) => el(n ? "div" : "strong", {}, line)),
  );
  tip.hidden = false;
  const right = Math.max(8, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8));
  const below = event.clientY + 16 + tip.offsetHeight < innerHeight;
  tip.style.left = right + "px";
  tip.style.top = (below ? event.clientY + 16 : event.clientY - tip.offsetHeight - 12) + "px";
}

function tellRow(row) {
  const shown = [...dataOf(stateNow()).metrics.slice(0, 2), ...BOARD.costs.slice(0, 4)];
  return [
    row.method,
    ...["k", "encoder", "loss", ...shown]
      .filter((name) => row.cells[name])
      .map((name) => `${columnOf(name).title}: ${textOf(row, name)}${row.cells[name].mark || ""}`),
    ...row.tags,
  ];
}

function chartBox(about) {
  return el("div", { class: "chart", role: "img", "aria-label": about });
}

function legendFor(methods) {
  if (methods.length > MOST_NAMED) {
    return el(
      "p",
      { class: "notes" },
      `${methods.length} methods: point at a mark to see which; the board shows the mark of each`,
    );
  }
  return el(
    "ul",
    { class: "legend" },
    methods.map((method) => el("li", {}, swatch(method), el("bdi", {}, method))),
  );
}

const methodsOf = (rows) => [...new Set(rows.map((row) => row.method))];
const numberOf = (row) => BOARD.rows.indexOf(row);

function metricOptions(state) {
  return dataOf(state).metrics.map((name) => [name, columnOf(name).title]);
}

const metricNow = (state) =>
  dataOf(state).metrics.includes(state.y) ? state.y : dataOf(state).metrics[0];
