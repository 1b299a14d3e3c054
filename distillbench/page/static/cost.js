// Quality against cost, and the front of rows that nothing cheaper beats.

function costView(state) {
  const metric = metricNow(state);
  const cost = BOARD.costs.includes(state.x) ? state.x : BOARD.costs[0];
  const rows = shownRows(state).filter(
    (row) => valueOf(row, metric) !== undefined && valueOf(row, cost) > 0,
  );
  if (!rows.length) return el("p", {}, "No row that is shown has both.");
  const front = frontOf(rows, cost, metric);
  const about = `${columnOf(metric).title} against ${columnOf(cost).title}, ${rows.length} rows; the front is in the table below`;
  const box = chartBox(about);
  draw(box, costSpec(rows, front, cost, metric), tellRow);
  return [
    el(
      "div",
      { class: "tools" },
      selectOf(
        "x",
        "cost",
        BOARD.costs.map((name) => [name, columnOf(name).title]),
        cost,
        (x) => change({ x }),
      ),
      selectOf("y", "quality", metricOptions(state), metric, (y) => change({ y })),
    ),
    box,
    legendFor(methodsOf(rows)),
    plainTable(
      "Pareto front: nothing that is shown is better and costs as little",
      ["method", columnOf(cost).title, columnOf(metric).title],
      front.map((row) => [
        named(row, "front"),
        textOf(row, cost),
        textOf(row, metric) + (row.cells[metric].mark || ""),
      ]),
      [null, "number", "number"],
    ),
  ];
}

// Keeps the rows that are better than every one that costs as little, cheapest first.
function frontOf(rows, cost, metric) {
  const sign = columnOf(metric).higher ? 1 : -1;
  const quality = (row) => sign * valueOf(row, metric);
  const ordered = [...rows].sort(
    (a, b) => valueOf(a, cost) - valueOf(b, cost) || quality(b) - quality(a),
  );
  const front = [];
  for (const row of ordered) {
    if (!front.length || quality(row) > quality(front.at(-1))) front.push(row);
  }
  return front;
}

function costSpec(rows, front, cost, metric) {
  const points = rows.map((row) => ({
    row: numberOf(row),
    x: valueOf(row, cost),
    y: valueOf(row, metric),
    low: row.cells[metric].low,
    high: row.cells[metric].high,
    color: colorOf(row.method),
    shape: lookOf(row.method).shape,
  }));
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  const x = {
    field: "x",
    type: "quantitative",
    scale: { type: "log", padding: 20 },
    title: [columnOf(cost).title, columnOf(cost).unit].filter(Boolean).join(", "),
    axis: { format: "~s", tickCount: 6 },
  };
  const y = {
    field: "y",
    type: "quantitative",
    scale: { zero: false, padding: 10 },
    title: columnOf(metric).title,
  };
  const color = { field: "color", type: "nominal", scale: null };
  return {
    layer: [
      {
        data: { values: front.map((row) => ({ x: valueOf(row, cost), y: valueOf(row, metric) })) },
        mark: {
          type: "line",
          interpolate: "step-after",
          color: ink,
          strokeWidth: 1.2,
          point: { filled: false, size: 190, color: ink, strokeWidth: 1.2 },
        },
        encoding: { x, y },
      },
      {
        data: { values: points.filter((point) => point.low !== undefined) },
        mark: { type: "rule", opacity: 0.35 },
        encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color },
      },
      {
        data: { values: points },
        mark: { type: "point", filled: true, size: 80, opacity: 0.85, cursor: "pointer" },
        encoding: { x, y, color, shape: { field: "shape", type: "nominal", scale: null } },
      },
    ].filter((layer) => layer.data.values.length), // Vega warns of layers without a value
  };
}
