// Quality against frames: a curve a method, and how many frames each needs.

function budgetView(state) {
  const metric = metricNow(state);
  const found = dataOf(state).budget[metric];
  const shown = new Set(shownRows(state).map(numberOf));
  const curves = (found ? found.curves : [])
    .map((curve) => ({ ...curve, rows: curve.rows.filter((row) => shown.has(row)) }))
    .filter((curve) => curve.rows.length);
  const choose = el(
    "div",
    { class: "tools" },
    selectOf("y", "quality", metricOptions(state), metric, (y) => change({ y })),
  );
  if (!curves.length)
    return [
      choose,
      el("p", {}, "No row that is shown is of a trained network that sees k frames."),
    ];
  const share = `${100 * BOARD.share} %`;
  const box = chartBox(
    `${columnOf(metric).title} against frames, ${curves.length} methods; the table below says how many frames each needs`,
  );
  draw(box, budgetSpec(curves, found, metric, share), tellRow);
  const goal =
    found.goal === null
      ? "No run of this data sees all frames, so there is no goal."
      : `The goal is ${share} of the best network that sees all frames: ${found.goal.toFixed(4)} of ${found.whole.toFixed(4)}.`;
  const needed = (curve) =>
    found.goal === null
      ? "–"
      : curve.needed === null
        ? "not reached"
        : curve.needed === curve.first
          ? `${curve.needed} or fewer`
          : String(curve.needed);
  const best = (curve) => BOARD.rows[curve.rows.at(-1)];
  const ordered = [...curves].sort(
    (a, b) =>
      (a.needed ?? Infinity) - (b.needed ?? Infinity) ||
      valueOf(best(b), metric) - valueOf(best(a), metric),
  );
  return [
    choose,
    el("p", {}, goal),
    box,
    legendFor(curves.map((curve) => curve.method)),
    plainTable(
      `Frames needed for ${share} of the teacher, straight between the k that were run`,
      ["method", "frames needed", "at its most frames", "k of its runs"],
      ordered.map((curve) => [
        named(best(curve), "budget"),
        needed(curve),
        textOf(best(curve), metric),
        curve.rows.map((row) => textOf(BOARD.rows[row], "k")).join(", "),
      ]),
      [null, "number", "number", null],
    ),
  ];
}

function budgetSpec(curves, found, metric, share) {
  const points = curves.flatMap((curve) =>
    curve.rows.map((number) => {
      const row = BOARD.rows[number];
      return {
        row: number,
        x: Number(textOf(row, "k")),
        y: valueOf(row, metric),
        low: row.cells[metric].low,
        high: row.cells[metric].high,
        method: curve.method,
        color: colorOf(curve.method),
        shape: lookOf(curve.method).shape,
        dash: lookOf(curve.method).dash,
      };
    }),
  );
  const goals =
    found.goal === null
      ? []
      : [
          { y: found.whole, title: "all frames", dash: [] },
          { y: found.goal, title: `${share} of it`, dash: [2, 3] },
        ];
  const faint = getComputedStyle(document.documentElement).getPropertyValue("--faint").trim();
  const x = {
    field: "x",
    type: "quantitative",
    title: "frames the student sees (k)",
    scale: { zero: false, padding: 20 },
    axis: { tickMinStep: 1 },
  };
  const y = {
    field: "y",
    type: "quantitative",
    title: columnOf(metric).title,
    scale: { zero: false, padding: 10 },
  };
  const color = { field: "color", type: "nominal", scale: null };
  const dashed = { strokeDash: { field: "dash", type: "nominal", scale: null } };
  return {
    layer: [
      { data: { values: goals }, mark: { type: "rule", color: faint }, encoding: { y, ...dashed } },
      ...goals.map((goal, n) => ({
        data: { values: [goal] },
        mark: {
          type: "text",
          align: "left",
          baseline: n ? "top" : "bottom",
          dy: n ? 4 : -3,
          color: faint,
        },
        encoding: { x: { value: 4 }, y, text: { field: "title" } },
      })),
      {
        data: { values: points },
        mark: { type: "line", strokeWidth: 1.4, opacity: 0.8 },
        encoding: { x, y, color, detail: { field: "method" }, ...dashed },
      },
      {
        data: { values: points.filter((point) => point.low !== undefined) },
        mark: { type: "rule", opacity: 0.3 },
        encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color },
      },
      {
        data: { values: points },
        mark: { type: "point", filled: true, size: 70, cursor: "pointer" },
        encoding: { x, y, color, shape: { field: "shape", type: "nominal", scale: null } },
      },
    ].filter((layer) => layer.data.values.length), // Vega warns of layers without a value
  };
}
