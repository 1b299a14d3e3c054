// How networks learned, epoch by epoch.

const MOST_CURVES = 6;

async function learningView(state) {
  const { runs, series, step } = await details();
  const rows = orderedRows(state)
    .filter((row) => row.runs.some((run) => runs[run] && runs[run].history.length))
    .slice(0, MOST_CURVES);
  const names = [
    ...new Set(
      rows.flatMap((row) =>
        row.runs.flatMap((run) =>
          runs[run].history.filter((n) => series[n].kind === "quality").map((n) => series[n].name),
        ),
      ),
    ),
  ];
  if (!names.length) return el("p", {}, "No row that is shown has a history.");
  const metric = names.includes(state.y)
    ? state.y
    : names.includes(metricNow(state))
      ? metricNow(state)
      : names[0];
  const lines = rows.flatMap((row) =>
    row.runs.flatMap((run) =>
      linesOf(
        runs[run],
        series,
        (each) => each.kind === "quality" && each.name === metric,
        step,
      ).map((line) => ({ ...line, row, run })),
    ),
  );
  const title = columnOf(metric) ? columnOf(metric).title : metric;
  const box = chartBox(`${title} on validation videos by epoch, ${rows.length} rows`);
  draw(box, curvesSpec(lines.flatMap(pointsOf), `${title} on validation videos`), (row, datum) => [
    row.method,
    `${datum.network}, seed ${datum.seed}`,
    `epoch ${datum.x}: ${datum.y}`,
  ]);
  return [
    el(
      "div",
      { class: "tools" },
      selectOf(
        "y",
        "quality",
        names.map((name) => [name, columnOf(name) ? columnOf(name).title : name]),
        metric,
        (y) => change({ y }),
      ),
    ),
    el(
      "p",
      {},
      `The first ${rows.length} rows of the board as it is filtered and sorted. A line is a seed: whole for the network that is reported, dotted for those that taught it. Phases follow one another${step > 1 ? `; every ${step}th epoch is drawn` : ""}.`,
    ),
    box,
    legendFor(methodsOf(rows)),
    plainTable(
      "The last epoch of each line",
      ["method", "network", "seed", "epochs", title],
      lines.map((line) => [
        named(line.row, "curve"),
        line.network,
        String(line.seed),
        String(line.epochs),
        String(line.y.at(-1) ?? "–"),
      ]),
      [null, null, "number", "number", "number"],
    ),
  ];
}

// Joins the phases of each network of a run to one line.
function linesOf(run, series, wanted, step) {
  const lines = new Map();
  for (const each of run.history.map((number) => series[number]).filter(wanted)) {
    if (!lines.has(each.network))
      lines.set(each.network, {
        network: each.network,
        reported: each.network === run.network,
        seed: run.seed,
        epochs: 0,
        x: [],
        y: [],
      });
    const line = lines.get(each.network);
    each.values.forEach((value, place) => {
      line.x.push(line.epochs + (place + 1) * step);
      line.y.push(value);
    });
    line.epochs += each.epochs;
  }
  return [...lines.values()];
}

function pointsOf(line) {
  return line.y
    .map((y, place) => ({
      row: numberOf(line.row),
      x: line.x[place],
      y,
      id: `${line.run} ${line.network}`,
      network: line.network,
      seed: line.seed,
      color: line.color || colorOf(line.row.method),
      dash: line.reported ? [] : [2, 3],
      width: line.reported ? 1.6 : 1,
    }))
    .filter((point) => point.y !== null);
}

function curvesSpec(points, title) {
  return {
    data: { values: points },
    mark: { type: "line", point: { size: 14 }, opacity: 0.85 },
    encoding: {
      x: {
        field: "x",
        type: "quantitative",
        title: "epoch of the network, all phases",
        axis: { tickMinStep: 1 },
      },
      y: { field: "y", type: "quantitative", title, scale: { zero: false } },
      color: { field: "color", type: "nominal", scale: null },
      detail: { field: "id" },
      strokeDash: { field: "dash", type: "nominal", scale: null },
    },
  };
}
