// Metrics of every head beside its picture, at the step or over the run; a column sorts.

import { h, selecting } from "../dom.js";
import { picture } from "../drawing/paint.js";
import { cut, scaleOf } from "../frames.js";
import { Pane } from "../pane.js";

const MOST_ROWS = 48;
const SMALL = 0.001;
const TEN = 10;

/** Return a value in three digits; what is nearly nothing says so. */
function short(value) {
  if (value === null) return "–";
  if (value !== 0 && Math.abs(value) < SMALL) return `<${SMALL}`;
  return value.toFixed(Math.abs(value) < TEN ? 3 : 1);
}

/** The table of the heads' metrics. */
export class Metrics extends Pane {
  constructor(shared) {
    super(shared, "metrics", "Head metrics");
    const over = selecting("Of", [["step", "this step"], ["run", "all steps, mean"]], { "data-choice": "over" });
    this.bound("over", over.lastChild);
    this.choice = over.lastChild;
    this.controls.append(over);
    this.head = h("tr");
    this.rows = h("tbody");
    this.table = h("table", { id: "metrics" }, h("thead", {}, this.head), this.rows);
    this.words = h("p", { class: "hint", id: "metrics-words" });
    this.body.append(h("div", { class: "wide", tabindex: 0, role: "group", "aria-label": "Table of the heads" }, this.table), this.words);
    this.key = "";
  }

  update(changed) {
    const has = (...names) => names.some((name) => changed.has(name));
    const { values, env, step, news } = this.shared;
    this.choice.value = values.over;
    const key = [env, values.over, values.over === "step" ? step : news.committed].join(".");
    if (has("decision", "over", "news", "env") && key !== this.key) this.busy((signal) => this.ask(key, signal));
    if (has("decision", "sort", "layer", "head", "scale")) this.draw();
  }

  async ask(key, signal) {
    const { source, env, step, values, view } = this.shared;
    this.key = key;
    try {
      this.shared.metrics = await source.ask("metrics", { env, step, over: values.over }, signal);
      this.refuse("");
    } catch (error) {
      if (this.key === key) this.key = "";
      if (error.name !== "AbortError") this.shared.metrics = null;
      throw error;
    }
    this.draw();
    view.tell(new Set(["metrics"]));
  }

  draw() {
    const { metrics } = this.shared;
    this.table.hidden = !metrics;
    if (!metrics) return;
    const { values } = this.shared;
    const focused = this.table.getRootNode().activeElement;
    const named = this.table.contains(focused) ? focused.textContent : null;
    this.head.replaceChildren(this.column("", "head", ""), h("th", { scope: "col" }, "decision row"), ...metrics.names.map((name, at) => this.column(name, name, metrics.units[at])));
    const sorted = metrics.names.indexOf(values.sort);
    const places = metrics.values[0].flat().map((_, place) => place);
    const value = (at, place) => metrics.values[at].flat()[place];
    if (sorted >= 0) places.sort((one, other) => (value(sorted, other) ?? -Infinity) - (value(sorted, one) ?? -Infinity));
    const flat = metrics.values.map((one) => one.flat());
    this.rows.replaceChildren(...places.slice(0, MOST_ROWS).map((place) => this.row(place, flat)));
    const more = places.length > MOST_ROWS ? ` The first ${MOST_ROWS} of ${places.length} heads.` : "";
    this.words.textContent = `${metrics.words}${more}`;
    const again = named && [...this.table.querySelectorAll("button")].find((one) => one.textContent === named);
    if (again) again.focus(); // its button was made anew
  }

  /** Return the head of a column, whose button sorts. */
  column(name, text, unit) {
    const { values, view } = this.shared;
    const sort = h("button", { type: "button", onclick: () => view.change({ sort: name }, true) }, text, unit ? h("small", {}, ` ${unit}`) : "");
    return h("th", { scope: "col", "aria-sort": values.sort === name ? (name ? "descending" : "ascending") : false }, sort);
  }

  row(place, flat) {
    const { about, view } = this.shared;
    const [layer, head] = [Math.floor(place / about.heads.length), place % about.heads.length];
    const [chosenLayer, chosenHead] = this.shared.head;
    const chosen = layer === chosenLayer && head === chosenHead;
    const choose = () => view.change({ layer, head }, true);
    const name = h("button", { type: "button", onclick: choose, "aria-pressed": String(chosen) }, `${about.layers[layer]}.${about.heads[head]}`);
    const cells = flat.map((values) => h("td", {}, short(values[place])));
    return h("tr", { class: chosen ? "chosen" : false }, h("th", { scope: "row" }, name), h("td", {}, this.thumbnail(layer, head)), ...cells);
  }

  thumbnail(layer, head) {
    const { about, decision, values } = this.shared;
    const canvas = h("canvas", { class: "thumbnail", width: 1, height: 1, "aria-hidden": "true" });
    if (!decision) return canvas;
    const shades = cut(about, decision, layer, head);
    canvas.width = shades.length;
    const scale = scaleOf(values, decision, shades);
    canvas.getContext("2d").drawImage(picture(shades, shades.length, 1, scale, () => decision.length), 0, 0);
    return canvas;
  }
}
