// What Python said of the results, and the rows that the reader asks for.

let BOARD = null;
let DETAILS = null;
const ETAGS = {};

const isLive = () => !byId("data-board");

// Reads a part of the page's data: from the page itself, or from the server that it follows.
async function part(name) {
  const inline = byId("data-" + name);
  if (!inline) return fetched(name);
  const bytes = Uint8Array.from(atob(inline.textContent.trim()), (letter) => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain).json();
}

// Returns null where nothing changed since the last time.
async function fetched(name) {
  const headers = ETAGS[name] ? { "If-None-Match": ETAGS[name] } : {};
  const answer = await fetch(name + ".json", { headers, cache: "no-store" });
  if (answer.status === 304) return null;
  if (!answer.ok) throw new Error(await answer.text());
  ETAGS[name] = answer.headers.get("ETag");
  return answer.json();
}

async function details() {
  if (!DETAILS) {
    delete ETAGS.details;
    DETAILS = await part("details");
  }
  return DETAILS;
}

const dataOf = (state) => BOARD.data.find((each) => each.name === state.data) || BOARD.data[0];
const columnOf = (name) => BOARD.columns.find((column) => column.name === name);
const textOf = (row, name) => (row.cells[name] ? row.cells[name].text : "");
const valueOf = (row, name) => (row.cells[name] ? row.cells[name].value : undefined);
const rowOfRun = (run) => BOARD.rows.find((row) => row.runs.includes(run));
const labelOf = (row) => (textOf(row, "k") ? `${row.method}, k = ${textOf(row, "k")}` : row.method);

function rowsOfData(data) {
  return BOARD.rows.filter((row) => textOf(row, "data") === data.name);
}

// Keeps the rows of the data set that meet every filter and have every word that is searched for.
function shownRows(state) {
  const words = (state.q || "").toLowerCase().split(/\s+/).filter(Boolean);
  return rowsOfData(dataOf(state)).filter(
    (row) =>
      BOARD.facets.every(
        (facet) => !state[facet] || listOf(state, facet).includes(textOf(row, facet)),
      ) && words.every((word) => searched(row).includes(word)),
  );
}

const SEARCHED = new WeakMap();

function searched(row) {
  if (!SEARCHED.has(row)) {
    const texts = Object.values(row.cells).map((cell) => cell.text);
    SEARCHED.set(row, [row.method, ...row.runs, ...row.tags, ...texts].join("\n").toLowerCase());
  }
  return SEARCHED.get(row);
}

const COLLATOR = new Intl.Collator("en", { numeric: true });

// Sorts by a column; rows without a value come last, whichever way.
function sorted(rows, name, falls) {
  const numeric = columnOf(name) && columnOf(name).kind !== "text";
  const key =
    name === "method"
      ? (row) => row.method
      : numeric
        ? (row) => valueOf(row, name)
        : (row) => textOf(row, name) || undefined;
  const sign = falls ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    return sign * (numeric ? x - y : COLLATOR.compare(x, y));
  });
}

// The order that the reader chose, or best first by the data's first metric.
function orderOf(state) {
  const [name, way] = (state.sort || "").split(":");
  const first = dataOf(state).metrics[0] || "method";
  const chosen = name === "method" || columnOf(name) ? name : first;
  const column = columnOf(chosen);
  const falls = way ? way === "down" : Boolean(column && column.higher);
  return { name: chosen, falls };
}
