// What is looked at: values that can be written as a text and read again, and listeners of every change.

const DEFAULTS = {
  ...{ at: "", with: "", page: "", env: 0, step: -1, layer: 0, head: 0, age: -1, from: -1, to: -1 },
  ...{ kind: "rows", scale: "shared", y: "age", by: "mean", sort: "", over: "step", latent: 0, shows: "traced" },
};
const ONE_OF = {
  ...{ page: ["", "jobs"], kind: ["rows", "maps"], scale: ["shared", "own", "lift"], y: ["age", "transition"] },
  ...{ by: ["mean", "head"], over: ["step", "run"], shows: ["traced", "looked"] },
};

/** Steps that the overview shows, at least. */
export const FEWEST = 4;

/** What one reader looks at. Step −1 is the last committed one, age −1 no slot, from and to −1 are all steps. */
export class View {
  constructor(values = {}) {
    this.values = { ...DEFAULTS, ...values };
    this.cursor = null;
    this.listeners = new Set();
    this.keep = null;
  }

  /** Call a function after every change, with the names of what changed; return a function that ends this. */
  onChange(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell(changed) {
    for (const listener of [...this.listeners]) listener(changed);
  }

  /** Take values over, and tell what changed. */
  take(found) {
    const changed = Object.keys(found).filter((name) => this.values[name] !== found[name]);
    Object.assign(this.values, found);
    if (changed.length) this.tell(new Set(changed));
  }

  /** Change the view; a leap is a step of the back button, a slide is not. */
  change(found, leap = false) {
    this.take(found);
    if (this.keep) this.keep(leap);
  }

  /** Put the cursor on ages of key and query, or nowhere; it is no part of the address. */
  point(cursor) {
    this.cursor = cursor;
    this.tell(new Set(["cursor"]));
  }

  /** Return the values that are not the usual ones, as a text. */
  text() {
    const said = new URLSearchParams();
    for (const [name, value] of Object.entries(this.values)) if (value !== DEFAULTS[name]) said.set(name, String(value));
    return String(said);
  }

  /** Return the first step of the overview and the one after its last, of so many steps in all. */
  shownSteps(total) {
    const end = Math.max(1, total);
    const { from, to } = this.values;
    return from < 0 || from >= end ? [0, end] : [from, Math.min(to, end)];
  }

  /** Return the ends of so many times the shown steps, around a step. */
  zoomed(factor, step, total) {
    const [first, last] = this.shownSteps(total);
    const wide = Math.max(FEWEST, Math.round((last - first) * factor));
    if (wide >= total) return { from: -1, to: -1 };
    const from = Math.max(0, Math.min(total - wide, Math.round(step - wide / 2)));
    return { from, to: from + wide };
  }
}

/** Return the values that a text says; those that make no sense are the usual ones. */
export function valuesOf(text) {
  const found = { ...DEFAULTS };
  for (const [name, value] of new URLSearchParams(text)) {
    if (!Object.hasOwn(DEFAULTS, name)) continue;
    if (typeof DEFAULTS[name] === "number") {
      if (/^\d{1,9}$/.test(value)) found[name] = Number(value);
    } else if (!(name in ONE_OF) || ONE_OF[name].includes(value)) found[name] = value;
  }
  if (found.from < 0 || found.to <= found.from) found.from = found.to = -1;
  return found;
}
