// Two rows: by how much they differ, how sure that is, and in which settings.

async function compareView(state) {
  const { runs, comparisons } = await details();
  const rows = orderedRows({ data: dataOf(state).name, sort: state.sort }).filter((row) =>
    row.runs.some((run) => runs[run].status === "finished"),
  );
  const options = [
    ["", "choose a row"],
    ...rows.map((row) => [
      row.runs[0],
      labelOf(row) + (textOf(row, "encoder") ? `, ${textOf(row, "encoder")}` : ""),
    ]),
  ];
  const [a, b] = ["a", "b"].map(
    (side) => (state[side] && rows.find((row) => row.runs.includes(state[side]))) || null,
  );
  const choose = el(
    "div",
    { class: "tools" },
    ...[
      ["a", a],
      ["b", b],
    ].map(([side, row]) =>
      selectOf(side, side.toUpperCase(), options, row ? row.runs[0] : "", (run) =>
        change({ [side]: run }),
      ),
    ),
    el(
      "button",
      { type: "button", "data-focus": "swap", onclick: () => change({ a: state.b, b: state.a }) },
      "Swap",
    ),
  );
  if (!a || !b || a === b) return [choose, el("p", {}, "Choose two rows of the same data.")];
  return [choose, ...differenceOf(a, b, comparisons), ...settingsTable(a, b, runs)];
}

function differenceOf(a, b, comparisons) {
  const [first, second] = [numberOf(a), numberOf(b)];
  const swapped = first > second;
  const pair = comparisons.pairs[swapped ? `${second}-${first}` : `${first}-${second}`];
  const legend = [
    ["A", a],
    ["B", b],
  ].map(([side, row]) => el("li", {}, `${side}: `, named(row, side)));
  if (!pair)
    return [
      el("ul", { class: "legend" }, legend),
      el("p", {}, whyNone(first, second, comparisons)),
      el("pre", { tabindex: "0" }, `distillbench compare ${a.runs[0]} ${b.runs[0]}`),
    ];
  const rows = Object.entries(pair.metrics).map(([metric, numbers]) => {
    const [value, low, high, inA, inB, p, seeds] = swapped ? turned(numbers) : numbers;
    const sign = (each) => (each < 0 ? "−" : "+") + Math.abs(each).toFixed(4);
    return [
      columnOf(metric).title,
      inA.toFixed(4),
      inB.toFixed(4),
      sign(value),
      `${sign(low)} to ${sign(high)}`,
      p < 0.0995 ? Number(p).toPrecision(2) : p.toFixed(3),
      String(seeds),
    ];
  });
  return [
    el("ul", { class: "legend" }, legend),
    plainTable(
      "The difference, paired by video and by seed",
      ["metric", "A", "B", "A − B", "95 % interval", "p", "paired seeds"],
      rows,
      [null, "number", "number", "number", "number", "number", "number"],
    ),
    el(
      "ul",
      { class: "notes" },
      pair.notes[swapped ? 1 : 0].map((note) => el("li", {}, note)),
      el(
        "li",
        {},
        "p is of this pair alone: of twenty pairs of equal methods one has p below 0.05. The ≈ of the board holds for all rows together.",
      ),
    ),
  ];
}

const turned = ([value, low, high, a, b, p, seeds]) => [-value, -high, -low, b, a, p, seeds];

function whyNone(first, second, comparisons) {
  const known = new Set(comparisons.compared);
  if (known.has(first) && known.has(second))
    return "These two were tested on different videos, or their predictions are not stored: they cannot be compared.";
  return `This page holds the differences of the best ${comparisons.most} rows of a data set. Where results are, this computes any:`;
}

// Lists the settings in which two runs differ; of a component that one lacks the knobs are not listed.
function settingsThatDiffer(ours, theirs) {
  const names = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
  const has = (settings, name) => Object.hasOwn(settings, name);
  const lacking = names
    .filter((name) => has(ours, name) !== has(theirs, name))
    .map((name) => name + ".");
  return names
    .filter(
      (name) =>
        name !== "seed" &&
        ours[name] !== theirs[name] &&
        !lacking.some((start) => name.startsWith(start)),
    )
    .map((name) => [
      name,
      has(ours, name) ? ours[name] : "-",
      has(theirs, name) ? theirs[name] : "-",
    ]);
}

function settingsTable(a, b, runs) {
  const differing = settingsThatDiffer(runs[a.runs[0]].settings, runs[b.runs[0]].settings);
  if (!differing.length) return [el("p", {}, "No setting differs.")];
  return [plainTable("Settings that differ", ["setting", "A", "B"], differing)];
}
