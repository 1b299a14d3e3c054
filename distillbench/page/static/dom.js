// Making elements. Strings become text nodes or attributes, never markup.

function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, value);
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined),
  );
  return element;
}

const byId = (id) => document.getElementById(id);

// Replaces what an element holds. What had the focus gets it again, by its `data-focus`, and lists
// of choices that were open, by their `data-name`, stay open.
function replaceIn(element, ...children) {
  const open = [...element.querySelectorAll("details[open]")].map((each) => each.dataset.name);
  const focused = element.contains(document.activeElement)
    ? document.activeElement.dataset.focus
    : null;
  element.replaceChildren(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined),
  );
  for (const each of element.querySelectorAll("details"))
    each.open = open.includes(each.dataset.name);
  if (!focused) return;
  const again = [...element.querySelectorAll("[data-focus]")].find(
    (each) => each.dataset.focus === focused,
  );
  if (again) again.focus({ preventScroll: true });
}

function field(label, control) {
  return el("label", { class: "field" }, label, control);
}

function selectOf(name, label, options, chosen, change) {
  const listed = options.map(([value, text]) =>
    el("option", { value, selected: String(value) === String(chosen) }, text),
  );
  return field(
    label,
    el("select", { "data-focus": name, name, onchange: (e) => change(e.target.value) }, listed),
  );
}

// A button that opens a list of checkboxes.
function choiceOf(name, title, options, chosen, change) {
  const boxes = options.map(([value, text]) =>
    el(
      "label",
      {},
      el("input", {
        type: "checkbox",
        value,
        checked: chosen.includes(value),
        "data-focus": `${name} ${value}`,
        onchange: () =>
          change(
            boxes
              .map((box) => box.firstChild)
              .filter((box) => box.checked)
              .map((box) => box.value),
          ),
      }),
      el("bdi", {}, text),
    ),
  );
  return el(
    "details",
    { class: "choice", "data-name": name },
    el("summary", {}, title),
    el("fieldset", {}, el("legend", {}, title), boxes),
  );
}

function plainTable(caption, heads, rows, kinds = []) {
  const kind = (place) => (kinds[place] ? { class: kinds[place] } : {});
  return el(
    "div",
    { class: "box plain", role: "region", tabindex: "0", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", {}, caption),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          heads.map((head, n) => el("th", { scope: "col", ...kind(n) }, head)),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((cells) =>
          el(
            "tr",
            {},
            cells.map((cell, n) =>
              n ? el("td", kind(n), cell) : el("th", { scope: "row" }, cell),
            ),
          ),
        ),
      ),
    ),
  );
}
