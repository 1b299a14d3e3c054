// What is shown, as CSV and as LaTeX; every character of a name stands for itself.

const INVISIBLE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const LATEX = {
  "\\": "\\textbackslash{}",
  "^": "\\textasciicircum{}",
  "~": "\\textasciitilde{}",
  ...Object.fromEntries([..."&%$#_{}"].map((letter) => [letter, "\\" + letter])),
};
const SIGNS = { "±": "$\\pm$", "≈": "$\\approx$", "†": "$^\\dagger$", "–": "--" };

const oneLine = (text) => text.replace(INVISIBLE, "").split(/\s+/).filter(Boolean).join(" ");
const latex = (text) =>
  [...oneLine(text)].map((letter) => LATEX[letter] || SIGNS[letter] || letter).join("");

// A spreadsheet would read some beginnings as a formula.
function spreadsheet(text) {
  const line = oneLine(text);
  const safe = /^[=+\-@]/.test(line) ? "'" + line : line;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csvOf(rows, columns) {
  const heads = columns.flatMap((column) =>
    column.kind === "metric"
      ? [column.name, column.name + "_low", column.name + "_high", column.name + "_mark"]
      : [column.name],
  );
  const lines = rows.map((row) => [
    spreadsheet(row.runs.join(" ")),
    spreadsheet(row.method),
    ...columns.flatMap((column) => {
      const cell = row.cells[column.name] || {};
      if (column.kind === "metric")
        return [cell.value, cell.low, cell.high, cell.mark].map((each) => each ?? "");
      return [column.kind === "number" ? (cell.value ?? "") : spreadsheet(cell.text || "")];
    }),
    spreadsheet(row.tags.join("; ")),
  ]);
  return [["run", "method", ...heads.map(spreadsheet), "tags"], ...lines]
    .map((line) => line.join(",") + "\n")
    .join("");
}

function latexOf(rows, columns) {
  const sides = "l" + columns.map((column) => (column.kind === "text" ? "l" : "r")).join("");
  const line = (cells) => "  " + cells.join(" & ") + " \\\\\n";
  const written = (row) =>
    line([
      latex(row.method),
      ...columns.map((column) => {
        const cell = row.cells[column.name];
        return cell ? latex(cell.text + (cell.mark || "")) : "--";
      }),
    ]);
  return (
    `% needs \\usepackage{booktabs}\n\\begin{tabular}{${sides}}\n  \\toprule\n` +
    line(["method", ...columns.map((column) => latex(column.title))]) +
    `  \\midrule\n${rows.map(written).join("")}  \\bottomrule\n\\end{tabular}\n`
  );
}

function exportOf(form, rows, columns) {
  const text = form === "CSV" ? csvOf(rows, columns) : latexOf(rows, columns);
  const area = el("textarea", { readonly: true, "aria-label": form, spellcheck: "false" });
  area.value = text;
  const save = el(
    "a",
    {
      download: form === "CSV" ? "board.csv" : "board.tex",
      href: URL.createObjectURL(new Blob([text], { type: "text/plain" })),
    },
    "Save",
  );
  const copy = el(
    "button",
    {
      type: "button",
      onclick: () => {
        area.select();
        document.execCommand("copy");
        copy.textContent = "Copied";
      },
    },
    "Copy",
  );
  const dialog = byId("export");
  replaceIn(
    dialog,
    el("h2", { id: "export-title" }, `${form} of what is shown: ${rows.length} rows`),
    area,
    el(
      "div",
      { class: "tools" },
      copy,
      save,
      el("button", { type: "button", onclick: () => dialog.close() }, "Close"),
    ),
  );
  dialog.showModal();
}
