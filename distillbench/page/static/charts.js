// Charts by Vega-Lite, of values alone: no expression, field or address in them comes from results.

const MOST_NAMED = 14;

function themed(spec) {
  const style = getComputedStyle(document.documentElement);
  const [ink, faint, line] = ["--ink", "--faint", "--line"].map((name) => style.getPropertyValue(name).trim());
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    width: "container", height: 420, autosize: { type: "fit", contains: "padding" }, background: null,
    ...spec,
    config: {
      font: "system-ui, sans-serif", view: { stroke: null },
      axis: { labelColor: faint, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, gridOpacity: 0.6, labelFontSize: 12, titleFontSize: 13, titleFontWeight: 400 },
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
  const made = await vegaEmbed(element, themed(spec), { actions: false, ast: true, renderer: "svg", tooltip: false, defaultStyle: false });
  const graphic = element.querySelector("svg");
  if (graphic) graphic.setAttribute("aria-hidden", "true"); // the tables beside say the same
  made.view.addEventListener("mousemove", (event, item) => {
    const row = item && item.datum && BOARD.rows[item.datum.row];
    if (row) showTip(event, tell(row, item.datum));
    else byId("tip").hidden = true;
  });
  made.view.addEventListener("mouseout", () => { byId("tip").hidden = true; });
  made.view.addEventListener("click", (_, item) => {
    const row = item && item.datum && BOARD.rows[item.datum.row];
    if (row) location.hash = addressOf({ view: "run", run: row.runs[0] });
  });
}

function showTip(event, lines) {
  const tip = byId("tip");
  replaceIn(tip, lines.map((line, n) => el(n ? "div" : "strong", {}, line)));
  tip.hidden = false;
  const right = Math.max(8, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8));
  const below = event.clientY + 16 + tip.offsetHeight < innerHeight;
  tip.style.left = right + "px";
  tip.style.top = (below ? event.clientY + 16 : event.clientY - tip.offsetHeight - 12) + "px";
}

function tellRow(row) {
  const shown = [...dataOf(stateNow()).metrics.slice(0, 2), ...BOARD.costs.slice(0, 4)];
  return [row.method, ...["k", "encoder", "loss", ...shown].filter((name) => row.cells[name])
    .map((name) => `${columnOf(name).title}: ${textOf(row, name)}${row.cells[name].mark || ""}`), ...row.tags];
}

function chartBox(about) {
  return el("div", { class: "chart", role: "img", "aria-label": about });
}

function legendFor(methods) {
  if (methods.length > MOST_NAMED) {
    return el("p", { class: "notes" }, `${methods.length} methods: point at a mark to see which; the board shows the mark of each`);
  }
  return el("ul", { class: "legend" }, methods.map((method) => el("li", {}, swatch(method), el("bdi", {}, method))));
}

const methodsOf = (rows) => [...new Set(rows.map((row) => row.method))];
const numberOf = (row) => BOARD.rows.indexOf(row);

function metricOptions(state) {
  return dataOf(state).metrics.map((name) => [name, columnOf(name).title]);
}

const metricNow = (state) => (dataOf(state).metrics.includes(state.y) ? state.y : dataOf(state).metrics[0]);

// ------------------------------------------------------------------------------ quality against cost

function costView(state) {
  const metric = metricNow(state);
  const cost = BOARD.costs.includes(state.x) ? state.x : BOARD.costs[0];
  const rows = shownRows(state).filter((row) => valueOf(row, metric) !== undefined && valueOf(row, cost) > 0);
  if (!rows.length) return el("p", {}, "No row that is shown has both.");
  const front = frontOf(rows, cost, metric);
  const about = `${columnOf(metric).title} against ${columnOf(cost).title}, ${rows.length} rows; the front is in the table below`;
  const box = chartBox(about);
  draw(box, costSpec(rows, front, cost, metric), tellRow);
  return [
    el("div", { class: "tools" },
      selectOf("x", "cost", BOARD.costs.map((name) => [name, columnOf(name).title]), cost, (x) => change({ x })),
      selectOf("y", "quality", metricOptions(state), metric, (y) => change({ y }))),
    box, legendFor(methodsOf(rows)),
    plainTable("Pareto front: nothing that is shown is better and costs as little", ["method", columnOf(cost).title, columnOf(metric).title],
      front.map((row) => [named(row, "front"), textOf(row, cost), textOf(row, metric) + (row.cells[metric].mark || "")]), [null, "number", "number"]),
  ];
}

// Keeps the rows that are better than every one that costs as little, cheapest first.
function frontOf(rows, cost, metric) {
  const sign = columnOf(metric).higher ? 1 : -1;
  const quality = (row) => sign * valueOf(row, metric);
  const ordered = [...rows].sort((a, b) => valueOf(a, cost) - valueOf(b, cost) || quality(b) - quality(a));
  const front = [];
  for (const row of ordered) {
    if (!front.length || quality(row) > quality(front.at(-1))) front.push(row);
  }
  return front;
}

function costSpec(rows, front, cost, metric) {
  const points = rows.map((row) => ({
    row: numberOf(row), x: valueOf(row, cost), y: valueOf(row, metric), low: row.cells[metric].low, high: row.cells[metric].high,
    color: colorOf(row.method), shape: lookOf(row.method).shape,
  }));
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  const x = { field: "x", type: "quantitative", scale: { type: "log", padding: 20 }, title: [columnOf(cost).title, columnOf(cost).unit].filter(Boolean).join(", "), axis: { format: "~s", tickCount: 6 } };
  const y = { field: "y", type: "quantitative", scale: { zero: false, padding: 10 }, title: columnOf(metric).title };
  const color = { field: "color", type: "nominal", scale: null };
  return {
    layer: [
      { data: { values: front.map((row) => ({ x: valueOf(row, cost), y: valueOf(row, metric) })) },
        mark: { type: "line", interpolate: "step-after", color: ink, strokeWidth: 1.2, point: { filled: false, size: 190, color: ink, strokeWidth: 1.2 } },
        encoding: { x, y } },
      { data: { values: points.filter((point) => point.low !== undefined) }, mark: { type: "rule", opacity: 0.35 },
        encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color } },
      { data: { values: points }, mark: { type: "point", filled: true, size: 80, opacity: 0.85, cursor: "pointer" },
        encoding: { x, y, color, shape: { field: "shape", type: "nominal", scale: null } } },
    ].filter((layer) => layer.data.values.length), // Vega warns of layers without a value
  };
}

// ------------------------------------------------------------------------------------- frame budget

function budgetView(state) {
  const metric = metricNow(state);
  const found = dataOf(state).budget[metric];
  const shown = new Set(shownRows(state).map(numberOf));
  const curves = (found ? found.curves : []).map((curve) => ({ ...curve, rows: curve.rows.filter((row) => shown.has(row)) }))
    .filter((curve) => curve.rows.length);
  const choose = el("div", { class: "tools" }, selectOf("y", "quality", metricOptions(state), metric, (y) => change({ y })));
  if (!curves.length) return [choose, el("p", {}, "No row that is shown is of a trained network that sees k frames.")];
  const share = `${100 * BOARD.share} %`;
  const box = chartBox(`${columnOf(metric).title} against frames, ${curves.length} methods; the table below says how many frames each needs`);
  draw(box, budgetSpec(curves, found, metric, share), tellRow);
  const goal = found.goal === null ? "No run of this data sees all frames, so there is no goal."
    : `The goal is ${share} of the best network that sees all frames: ${found.goal.toFixed(4)} of ${found.whole.toFixed(4)}.`;
  const needed = (curve) => (found.goal === null ? "–" : curve.needed === null ? "not reached"
    : curve.needed === curve.first ? `${curve.needed} or fewer` : String(curve.needed));
  const best = (curve) => BOARD.rows[curve.rows.at(-1)];
  const ordered = [...curves].sort((a, b) => (a.needed ?? Infinity) - (b.needed ?? Infinity) || valueOf(best(b), metric) - valueOf(best(a), metric));
  return [choose, el("p", {}, goal), box, legendFor(curves.map((curve) => curve.method)),
    plainTable(`Frames needed for ${share} of the teacher, straight between the k that were run`, ["method", "frames needed", "at its most frames", "k of its runs"],
      ordered.map((curve) => [named(best(curve), "budget"), needed(curve), textOf(best(curve), metric),
        curve.rows.map((row) => textOf(BOARD.rows[row], "k")).join(", ")]), [null, "number", "number", null])];
}

function budgetSpec(curves, found, metric, share) {
  const points = curves.flatMap((curve) => curve.rows.map((number) => {
    const row = BOARD.rows[number];
    return { row: number, x: Number(textOf(row, "k")), y: valueOf(row, metric), low: row.cells[metric].low, high: row.cells[metric].high,
      method: curve.method, color: colorOf(curve.method), shape: lookOf(curve.method).shape, dash: lookOf(curve.method).dash };
  }));
  const goals = found.goal === null ? [] : [{ y: found.whole, title: "all frames", dash: [] }, { y: found.goal, title: `${share} of it`, dash: [2, 3] }];
  const faint = getComputedStyle(document.documentElement).getPropertyValue("--faint").trim();
  const x = { field: "x", type: "quantitative", title: "frames the student sees (k)", scale: { zero: false, padding: 20 }, axis: { tickMinStep: 1 } };
  const y = { field: "y", type: "quantitative", title: columnOf(metric).title, scale: { zero: false, padding: 10 } };
  const color = { field: "color", type: "nominal", scale: null };
  const dashed = { strokeDash: { field: "dash", type: "nominal", scale: null } };
  return {
    layer: [
      { data: { values: goals }, mark: { type: "rule", color: faint }, encoding: { y, ...dashed } },
      ...goals.map((goal, n) => ({ data: { values: [goal] }, mark: { type: "text", align: "left", baseline: n ? "top" : "bottom", dy: n ? 4 : -3, color: faint }, encoding: { x: { value: 4 }, y, text: { field: "title" } } })),
      { data: { values: points }, mark: { type: "line", strokeWidth: 1.4, opacity: 0.8 }, encoding: { x, y, color, detail: { field: "method" }, ...dashed } },
      { data: { values: points.filter((point) => point.low !== undefined) }, mark: { type: "rule", opacity: 0.3 }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color } },
      { data: { values: points }, mark: { type: "point", filled: true, size: 70, cursor: "pointer" }, encoding: { x, y, color, shape: { field: "shape", type: "nominal", scale: null } } },
    ].filter((layer) => layer.data.values.length), // Vega warns of layers without a value
  };
}

// ----------------------------------------------------------------------------------- learning curves

const MOST_CURVES = 6;

async function learningView(state) {
  const { runs, series, step } = await details();
  const rows = orderedRows(state).filter((row) => row.runs.some((run) => runs[run] && runs[run].history.length)).slice(0, MOST_CURVES);
  const names = [...new Set(rows.flatMap((row) => row.runs.flatMap((run) => runs[run].history.filter((n) => series[n].kind === "quality").map((n) => series[n].name))))];
  if (!names.length) return el("p", {}, "No row that is shown has a history.");
  const metric = names.includes(state.y) ? state.y : names.includes(metricNow(state)) ? metricNow(state) : names[0];
  const lines = rows.flatMap((row) => row.runs.flatMap((run) =>
    linesOf(runs[run], series, (each) => each.kind === "quality" && each.name === metric, step)
      .map((line) => ({ ...line, row, run }))));
  const title = columnOf(metric) ? columnOf(metric).title : metric;
  const box = chartBox(`${title} on validation videos by epoch, ${rows.length} rows`);
  draw(box, curvesSpec(lines.flatMap(pointsOf), `${title} on validation videos`), (row, datum) => [row.method, `${datum.network}, seed ${datum.seed}`, `epoch ${datum.x}: ${datum.y}`]);
  return [
    el("div", { class: "tools" }, selectOf("y", "quality", names.map((name) => [name, columnOf(name) ? columnOf(name).title : name]), metric, (y) => change({ y }))),
    el("p", {}, `The first ${rows.length} rows of the board as it is filtered and sorted. A line is a seed: whole for the network that is reported, dotted for those that taught it. Phases follow one another${step > 1 ? `; every ${step}th epoch is drawn` : ""}.`),
    box, legendFor(methodsOf(rows)),
    plainTable("The last epoch of each line", ["method", "network", "seed", "epochs", title],
      lines.map((line) => [named(line.row, "curve"), line.network, String(line.seed), String(line.epochs), String(line.y.at(-1) ?? "–")]), [null, null, "number", "number", "number"]),
  ];
}

// Joins the phases of each network of a run to one line.
function linesOf(run, series, wanted, step) {
  const lines = new Map();
  for (const each of run.history.map((number) => series[number]).filter(wanted)) {
    if (!lines.has(each.network)) lines.set(each.network, { network: each.network, reported: each.network === run.network, seed: run.seed, epochs: 0, x: [], y: [] });
    const line = lines.get(each.network);
    each.values.forEach((value, place) => { line.x.push(line.epochs + (place + 1) * step); line.y.push(value); });
    line.epochs += each.epochs;
  }
  return [...lines.values()];
}

function pointsOf(line) {
  return line.y.map((y, place) => ({
    row: numberOf(line.row), x: line.x[place], y, id: `${line.run} ${line.network}`, network: line.network, seed: line.seed,
    color: line.color || colorOf(line.row.method), dash: line.reported ? [] : [2, 3], width: line.reported ? 1.6 : 1,
  })).filter((point) => point.y !== null);
}

function curvesSpec(points, title) {
  return {
    data: { values: points },
    mark: { type: "line", point: { size: 14 }, opacity: 0.85 },
    encoding: {
      x: { field: "x", type: "quantitative", title: "epoch of the network, all phases", axis: { tickMinStep: 1 } },
      y: { field: "y", type: "quantitative", title, scale: { zero: false } },
      color: { field: "color", type: "nominal", scale: null },
      detail: { field: "id" },
      strokeDash: { field: "dash", type: "nominal", scale: null },
    },
  };
}
