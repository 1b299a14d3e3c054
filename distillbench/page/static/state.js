// What the reader looks at is in the address: every view can be linked to and gone back to.

const LISTED = "|"; // between values of a filter, as `--where k=6|15` has it

function stateNow() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

function addressOf(changes, from = stateNow()) {
  const next = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...from, ...changes })) {
    if (value !== null && value !== undefined && value !== "") next.set(name, value);
  }
  return "#" + next.toString();
}

// Changes the state in place: what the reader types makes no entry in the history.
function change(changes) {
  location.replace(addressOf(changes));
}

function listOf(state, name) {
  return state[name]
    ? state[name].split(LISTED).map((each) => each.replaceAll("%7C", LISTED).replaceAll("%25", "%"))
    : [];
}

function joined(values) {
  return values.map((each) => each.replaceAll("%", "%25").replaceAll(LISTED, "%7C")).join(LISTED);
}
