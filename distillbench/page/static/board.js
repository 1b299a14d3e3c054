// The board: rows in pages, columns that the reader chooses, intervals drawn beside the numbers.

const ROWS_A_PAGE = 50;

function columnsShown(state) {
  const data = dataOf(state);
  const present = BOARD.columns.filter((column) =>
    rowsOfData(data).some((row) => row.cells[column.name]),
  );
  if (state.cols) {
    const chosen = listOf(state, "cols");
    return present.filter((column) => chosen.includes(column.name));
  }
  const judges = data.metrics.slice(0, 2);
  return present.filter((column) =>
    column.kind === "metric" ? judges.includes(column.name) : column.shown,
  );
}

function boardView(state) {
  const rows = orderedRows(state);
  const pages = Math.max(1, Math.ceil(rows.length / ROWS_A_PAGE));
  const page = Math.min(pages, Math.max(1, Number.parseInt(state.page, 10) || 1));
  const listed = rows.slice((page - 1) * ROWS_A_PAGE, page * ROWS_A_PAGE);
  const columns = columnsShown(state);
  return [
    boardTools(state, rows, columns),
    el(
      "div",
      {
        class: "box board",
        role: "region",
        tabindex: "0",
        "aria-label": "Leaderboard, scrolls sideways",
        "data-focus": "box",
      },
      boardTable(state, rows, listed, columns),
    ),
    pages > 1 ? pager(page, pages, rows.length) : null,
    legendOfMarks(rows, columns),
  ];
}

function orderedRows(state) {
  const { name, falls } = orderOf(state);
  return sorted(shownRows(state), name, falls);
}

function boardTools(state, rows, columns) {
  const known = BOARD.columns.filter((column) =>
    rowsOfData(dataOf(state)).some((row) => row.cells[column.name]),
  );
  const chooser = choiceOf(
    "cols",
    "Columns",
    known.map((column) => [column.name, column.title]),
    columns.map((column) => column.name),
    (chosen) => change({ cols: joined(chosen) || "none" }),
  );
  const picked = ["a", "b"].map((side) => state[side] && rowOfRun(state[side])).filter(Boolean);
  const compare =
    picked.length === 2
      ? el(
          "a",
          { href: addressOf({ view: "compare" }), "data-focus": "compare" },
          "Compare the two",
        )
      : el("span", {}, picked.length ? "tick another row to compare" : "");
  return el(
    "div",
    { class: "tools" },
    chooser,
    ...["CSV", "LaTeX"].map((form) =>
      el(
        "button",
        { type: "button", "data-focus": form, onclick: () => exportOf(form, rows, columns) },
        form,
      ),
    ),
    compare,
  );
}

function boardTable(state, rows, listed, columns) {
  const order = orderOf(state);
  const scales = Object.fromEntries(
    columns
      .filter((column) => column.kind === "metric")
      .map((column) => [column.name, scaleOf(listed, column.name)]),
  );
  const head = [
    {
      name: "method",
      title: "method",
      kind: "text",
      about: "schedule, frames, losses, and what else tells it apart",
    },
    ...columns,
  ];
  return el(
    "table",
    {},
    el("caption", {}, `${dataOf(state).name}: ${rows.length} rows, means over seeds`),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        head.map((column) => headOf(column, order)),
        el("th", { scope: "col" }, "compare"),
      ),
    ),
    el(
      "tbody",
      {},
      listed.map((row) =>
        el(
          "tr",
          {
            class: row.cells[dataOf(state).metrics[0]]
              ? isBest(row, columns)
                ? "best"
                : null
              : "without",
          },
          el("th", { scope: "row" }, named(row), el("div", {}, tagsOf(row))),
          columns.map((column) => cellOf(row, column, scales)),
          el("td", {}, picker(state, row)),
        ),
      ),
    ),
  );
}

const isBest = (row, columns) =>
  columns.some((column) => row.cells[column.name] && row.cells[column.name].mark === "≈");

function headOf(column, order) {
  const sortedBy = order.name === column.name;
  const falls = sortedBy ? !order.falls : Boolean(column.higher);
  return el(
    "th",
    {
      scope: "col",
      class: column.kind === "text" ? null : "number",
      "aria-sort": sortedBy ? (order.falls ? "descending" : "ascending") : null,
    },
    el(
      "button",
      {
        type: "button",
        title: column.about,
        "data-focus": "sort " + column.name,
        onclick: () => change({ sort: `${column.name}:${falls ? "down" : "up"}`, page: null }),
      },
      column.title,
      sortedBy ? (order.falls ? " ↓" : " ↑") : "",
    ),
  );
}

function cellOf(row, column, scales) {
  const cell = row.cells[column.name];
  const kind = column.kind === "text" ? (cell && cell.text.length > 24 ? "long" : null) : "number";
  if (!cell)
    return el(
      "td",
      { class: kind },
      column.name === dataOf(stateNow()).metrics[0] ? textOf(row, "status") : "–",
    );
  if (column.kind !== "metric") return el("td", { class: kind }, el("bdi", {}, cell.text));
  return el(
    "td",
    { class: kind },
    cell.text,
    el(
      "span",
      { class: cell.mark === "≈" ? "sign like" : "sign", title: BOARD.marks[cell.mark] || null },
      cell.mark || "",
    ),
    drawnInterval(cell, scales[column.name]),
  );
}

function scaleOf(rows, name) {
  const cells = rows.map((row) => row.cells[name]).filter(Boolean);
  const ends = cells.flatMap((cell) => [cell.low ?? cell.value, cell.high ?? cell.value]);
  const low = ends.reduce((a, b) => Math.min(a, b), Infinity);
  const high = ends.reduce((a, b) => Math.max(a, b), -Infinity);
  return (value) => (high > low ? 3 + (90 * (value - low)) / (high - low) : 48);
}

function drawnInterval(cell, scale) {
  const middle = svg("circle", { cx: scale(cell.value), cy: 5, r: 2.5 });
  const line =
    cell.low === undefined
      ? null
      : svg("line", { x1: scale(cell.low), x2: scale(cell.high), y1: 5, y2: 5 });
  return svg(
    "svg",
    { class: "interval", viewBox: "0 0 96 10", "aria-hidden": "true" },
    line,
    middle,
  );
}

function picker(state, row) {
  const side = ["a", "b"].find((each) => state[each] && row.runs.includes(state[each]));
  const free = ["a", "b"].find((each) => !state[each] || !rowOfRun(state[each])) || "b";
  return el("input", {
    type: "checkbox",
    checked: Boolean(side),
    "aria-label": `compare ${labelOf(row)}`,
    "data-focus": "pick " + row.run,
    onchange: () => change(side ? { [side]: null } : { [free]: row.runs[0] }),
  });
}

function pager(page, pages, count) {
  const step = (title, to) =>
    el(
      "button",
      {
        type: "button",
        disabled: to < 1 || to > pages,
        "data-focus": title,
        onclick: () => change({ page: to }),
      },
      title,
    );
  const first = (page - 1) * ROWS_A_PAGE + 1;
  return el(
    "nav",
    { class: "pager", "aria-label": "Pages" },
    step("Previous", page - 1),
    el("span", {}, `rows ${first} to ${Math.min(count, first + ROWS_A_PAGE - 1)} of ${count}`),
    step("Next", page + 1),
  );
}

function legendOfMarks(rows, columns) {
  const cells = rows.flatMap((row) =>
    columns.map((column) => row.cells[column.name]).filter(Boolean),
  );
  const signs = Object.keys(BOARD.marks).filter((sign) =>
    cells.some((cell) => cell.mark === sign || (sign === "~" && cell.text.startsWith("~"))),
  );
  const notes = signs.map((sign) => el("li", {}, `${sign}  ${BOARD.marks[sign]}`));
  if (cells.some((cell) => cell.low !== undefined)) {
    notes.push(
      el(
        "li",
        {},
        "± and the drawn lines are 95 % intervals; marks are of all rows of the data, whatever is filtered",
      ),
    );
  }
  return el("ul", { class: "notes" }, notes);
}
