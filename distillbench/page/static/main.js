// The page: filters above, a view below, both made again from the address whenever it changes.

const VIEWS = {
  board: ["Board", boardView],
  cost: ["Quality and cost", costView],
  budget: ["Frame budget", budgetView],
  learning: ["Learning curves", learningView],
  compare: ["Compare two", compareView],
  run: [null, runView],
};
const FILTERED = ["board", "cost", "budget", "learning"];
const POLL_MS = 5000;

// Made once, so that what is typed stays while rows change beneath it.
const searchField = field(
  "search",
  el("input", {
    type: "search",
    name: "q",
    "data-focus": "q",
    size: "18",
    oninput: (event) => change({ q: event.target.value, page: null }),
  }),
);

let latest = 0;
let shownFilters = "";

async function render() {
  const state = stateNow();
  if (!BOARD.data.length) {
    replaceIn(byId("view"), el("p", {}, "No results yet: this page shows them as they come."));
    return;
  }
  const view = Object.hasOwn(VIEWS, state.view || "") ? state.view : "board";
  const ticket = ++latest;
  byId("tip").hidden = true;
  renderNavigation(state, view);
  renderFilters(state, view);
  const made = await VIEWS[view][1](state);
  if (ticket !== latest) return; // the reader went on while this was made
  replaceIn(byId("view"), made);
  await Promise.all([...byId("view").querySelectorAll(".chart")].map((box) => DRAWINGS.get(box)()));
  if (ticket !== latest) return;
  document.documentElement.dataset.ready = location.hash || "#";
}

function renderNavigation(state, view) {
  const open = state.view || "board";
  replaceIn(
    byId("views"),
    Object.entries(VIEWS)
      .filter(([name, [title]]) => title || name === view)
      .map(([name, [title]]) =>
        el(
          "a",
          {
            href: addressOf({ view: name }),
            "aria-current": name === open ? "page" : null,
            "data-focus": "view " + name,
          },
          title || "Run",
        ),
      ),
  );
}

function renderFilters(state, view) {
  const form = byId("filters");
  form.hidden = !FILTERED.includes(view);
  const status = byId("status");
  status.hidden = form.hidden;
  const rows = shownRows(state).length;
  status.textContent = `${rows} of ${rowsOfData(dataOf(state)).length} rows shown`;
  const clear = form.querySelector("[name=clear]");
  // Filters are made anew only for other data: what is typed or open stays as it is.
  if (shownFilters === dataOf(state).name + BOARD.finished && clear)
    return markFilters(form, state);
  shownFilters = dataOf(state).name + BOARD.finished;
  const data =
    BOARD.data.length > 1
      ? selectOf(
          "data",
          "data",
          BOARD.data.map((each) => [each.name, each.name]),
          dataOf(state).name,
          (name) => {
            location.hash = addressOf({
              data: name,
              page: null,
              ...Object.fromEntries(BOARD.facets.map((facet) => [facet, null])),
            });
          },
        )
      : null;
  replaceIn(
    form,
    data,
    searchField,
    facetsOf(state),
    el(
      "button",
      {
        type: "button",
        name: "clear",
        "data-focus": "clear",
        onclick: () => {
          shownFilters = "";
          change({
            q: null,
            page: null,
            ...Object.fromEntries(BOARD.facets.map((facet) => [facet, null])),
          });
        },
      },
      "Show all",
    ),
  );
  markFilters(form, state);
}

function facetsOf(state) {
  const rows = rowsOfData(dataOf(state));
  return BOARD.facets.map((facet) => {
    const values = [...new Set(rows.map((row) => textOf(row, facet)).filter(Boolean))].sort(
      COLLATOR.compare,
    );
    if (values.length < 2) return null;
    const count = (value) => rows.filter((row) => textOf(row, facet) === value).length;
    return choiceOf(
      facet,
      columnOf(facet).title,
      values.map((value) => [value, `${value} (${count(value)})`]),
      listOf(state, facet),
      (chosen) => change({ [facet]: joined(chosen), page: null }),
    );
  });
}

function markFilters(form, state) {
  for (const choice of form.querySelectorAll("details.choice")) {
    const chosen = listOf(state, choice.dataset.name);
    choice.dataset.active = chosen.length > 0;
    const title = columnOf(choice.dataset.name).title;
    choice.querySelector("summary").textContent = chosen.length
      ? `${title}: ${chosen.length > 2 ? chosen.length + " of them" : chosen.join(", ")}`
      : title;
    for (const box of choice.querySelectorAll("input")) box.checked = chosen.includes(box.value);
  }
  const search = form.querySelector("[name=q]");
  if (search !== document.activeElement) search.value = state.q || "";
}

function renderAbout() {
  const skipped = BOARD.skipped
    ? ` ${BOARD.skipped} damaged file${BOARD.skipped === 1 ? "" : "s"} left out.`
    : "";
  const last = BOARD.finished ? `, the last one finished ${BOARD.finished}` : "";
  replaceIn(
    byId("about"),
    `${BOARD.runs} runs${last}.${skipped} Made by distillbench ${BOARD.version}${isLive() ? "; it follows the results while it is open" : ""}.`,
  );
}

async function refresh() {
  const next = await part("board").catch(() => null);
  if (next) {
    BOARD = next;
    DETAILS = null;
    renderAbout();
    await render();
  }
  setTimeout(refresh, POLL_MS);
}

// A list of choices closes when the reader goes on elsewhere, or with Escape.
function closeChoices(except) {
  for (const open of document.querySelectorAll("details.choice[open]"))
    if (open !== except) open.open = false;
}

async function start() {
  BOARD = await part("board");
  renderAbout();
  addEventListener("hashchange", render);
  darkness.addEventListener("change", render);
  document.addEventListener("click", (event) =>
    closeChoices(event.target.closest("details.choice")),
  );
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && document.querySelector("details.choice[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
  await render();
  if (isLive()) setTimeout(refresh, POLL_MS);
}

start().catch((error) => {
  replaceIn(
    byId("view"),
    el("p", { role: "alert" }, "The data of this page cannot be read: " + error.message),
  );
});
