// What is looked at, kept in the address: a view can be linked, and the back button works.

const DEFAULTS = { at: "", env: 0, step: -1, layer: 0, head: 0, kind: "rows", scale: "shared", y: "age", by: "mean", from: -1, to: -1 };
const LATER_MS = 1000;
const ONE_OF = { kind: ["rows", "maps"], scale: ["shared", "own"], y: ["age", "transition"], by: ["mean", "head"] };

/** The view; step −1 is the last committed one, from and to −1 are all steps. */
export const state = { ...DEFAULTS };

const listeners = [];

/** Call a function after every change, with the names of what changed. */
export const onChange = (listener) => listeners.push(listener);

function read() {
  const said = new URLSearchParams(location.hash.slice(1));
  const found = { ...DEFAULTS };
  for (const [name, text] of said) {
    if (!(name in DEFAULTS)) continue;
    if (typeof DEFAULTS[name] === "number") {
      if (/^\d{1,9}$/.test(text)) found[name] = Number(text);
    } else if (!(name in ONE_OF) || ONE_OF[name].includes(text)) found[name] = text;
  }
  if (found.from < 0 || found.to <= found.from) found.from = found.to = -1;
  return found;
}

/** Return the first step of the overview and the one after its last, of so many steps in all. */
export function shownSteps(total) {
  const end = Math.max(1, total);
  return state.from < 0 || state.from >= end ? [0, end] : [state.from, Math.min(state.to, end)];
}

function written() {
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) if (value !== DEFAULTS[name]) said.set(name, String(value));
  return `#${said}`;
}

function take(found) {
  const changed = Object.keys(found).filter((name) => state[name] !== found[name]);
  Object.assign(state, found);
  if (changed.length) for (const listener of listeners) listener(new Set(changed));
}

let later = 0;

/** Write the view into the address; browsers bound how often that is done, so a refused one is written later. */
function write(leap) {
  clearTimeout(later);
  try {
    history[leap ? "pushState" : "replaceState"](null, "", written());
  } catch {
    later = setTimeout(write, LATER_MS, false);
  }
}

/** Change the view; a leap is a step of the back button, a slide is not. */
export function change(found, leap = false) {
  take(found);
  if (written() !== location.hash) write(leap);
}

/** Take the view from the address, now and whenever the reader goes back or pastes another; a link loads anew. */
export function follow() {
  Object.assign(state, read());
  addEventListener("popstate", () => {
    clearTimeout(later);
    const found = read();
    if (found.at !== state.at || new URLSearchParams(location.hash.slice(1)).has("code")) location.reload();
    else take(found);
  });
}
