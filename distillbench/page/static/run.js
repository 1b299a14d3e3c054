// A run: what it was, what it cost, how it learned, and how to repeat it.

async function runView(state) {
  const { runs, series, step } = await details();
  const row = rowOfRun(state.run);
  const run = Object.hasOwn(runs, state.run || "") ? runs[state.run] : null;
  if (!row || !run)
    return [
      el("h2", {}, "No such run"),
      el("p", {}, "The address names a run that these results do not hold."),
    ];
  return [
    el("h2", {}, swatch(row.method), el("bdi", {}, labelOf(row))),
    el(
      "p",
      {},
      tagsOf(row),
      `run ${state.run}, ${run.network}, seed ${run.seed}${run.finished ? ", finished " + run.finished : ""}`,
    ),
    seedLinks(state, row, runs),
    notesOf(row, run),
    qualityTable(row),
    commandOf(run),
    ...historyOf(state, row, run, series, step),
    el(
      "p",
      {},
      el(
        "a",
        { href: addressOf({ view: "compare", a: row.runs[0], b: null }), "data-focus": "compare" },
        "Compare with another row",
      ),
    ),
    el("div", { class: "columns" }, sectionsOf(run)),
  ];
}

function seedLinks(state, row, runs) {
  if (row.runs.length < 2) return null;
  return el(
    "p",
    {},
    "Seeds of this row: ",
    row.runs.map((each) => [
      each === state.run
        ? el("strong", {}, String(runs[each].seed))
        : el("a", { href: addressOf({ run: each }), "data-focus": each }, String(runs[each].seed)),
      " ",
    ]),
  );
}

function notesOf(row, run) {
  const notes = [
    ...new Set([...row.notes.filter((note) => note.startsWith("a control")), ...run.notes]),
  ];
  return notes.length
    ? [
        el("h3", {}, "Warnings"),
        el(
          "ul",
          { class: "notes" },
          notes.map((note) => el("li", {}, note)),
        ),
      ]
    : null;
}

function qualityTable(row) {
  const columns = BOARD.columns.filter(
    (column) => row.cells[column.name] && column.kind !== "text",
  );
  if (!columns.length) return null;
  const title = row.runs.length > 1 ? `The row: means over ${row.runs.length} seeds` : "The row";
  return [
    el("h3", {}, "Quality and cost"),
    plainTable(
      title,
      ["", "value", "what it is"],
      columns.map((column) => [
        column.title,
        textOf(row, column.name) + (row.cells[column.name].mark || ""),
        column.about,
      ]),
      [null, "number", null],
    ),
  ];
}

function commandOf(run) {
  if (!run.command) return null;
  return [
    el("h3", {}, "Repeat it"),
    el("p", {}, "This repeats the run, its teacher included, and compares every number:"),
    el("pre", { tabindex: "0" }, run.command),
  ];
}

function historyOf(state, row, run, series, step) {
  const listed = run.history.map((number) => series[number]);
  if (!listed.length) return [];
  const names = [...new Set(listed.map((each) => `${each.kind} ${each.name}`))].sort().reverse();
  const usual = `quality ${dataOf(state).metrics[0]}`;
  const chosen = names.includes(state.h) ? state.h : names.includes(usual) ? usual : names[0];
  const wanted = (each) => `${each.kind} ${each.name}` === chosen;
  const title = (name) => {
    const [kind, ...rest] = name.split(" ");
    const known = kind === "quality" && columnOf(rest.join(" "));
    return known ? `${known.title} on validation videos` : name;
  };
  const lines = linesOf(run, series, wanted, step).map((line) => ({
    ...line,
    row,
    run: state.run,
  }));
  const box = chartBox(`${title(chosen)} by epoch; the table below has first and last values`);
  draw(box, { ...curvesSpec(lines.flatMap(pointsOf), title(chosen)), height: 260 }, (_, datum) => [
    datum.network,
    `epoch ${datum.x}: ${datum.y}`,
  ]);
  return [
    el("h3", {}, "How it learned"),
    el(
      "div",
      { class: "tools" },
      selectOf(
        "h",
        "history of",
        names.map((name) => [name, title(name)]),
        chosen,
        (h) => change({ h }),
      ),
    ),
    box,
    el(
      "p",
      { class: "notes" },
      `Whole: ${run.network}; dotted: the networks beside it.${step > 1 ? ` Every ${step}th epoch is kept.` : ""}`,
    ),
    plainTable(
      "Each phase, network and quantity",
      ["phase", "network", "quantity", "epochs", "first", "last"],
      listed.map((each) => [
        each.phase,
        each.network,
        title(`${each.kind} ${each.name}`),
        String(each.epochs),
        String(each.values[0] ?? "–"),
        String(each.values.at(-1) ?? "–"),
      ]),
      [null, null, null, "number", "number", "number"],
    ),
  ];
}

function sectionsOf(run) {
  const settings = Object.entries(run.settings).map(([name, value]) => [
    name,
    value,
    run.sources[name] || "",
  ]);
  const parts = Object.entries(run.sections).map(([title, values]) =>
    section(title, ["", "value"], Object.entries(values)),
  );
  return [...parts, section("settings", ["setting", "value", "from"], settings)];
}

function section(title, heads, rows) {
  return el("section", {}, el("h3", {}, title), plainTable(title, heads, rows));
}
