// The overview of a capture: every step, by click, drag and keys.

import { drawing, h, selecting } from "../dom.js";
import { said } from "../drawing/axes.js";
import { ABSENT, weightOf } from "../drawing/scale.js";
import { Pane } from "../pane.js";
import { Taking } from "../taking.js";
import { FEWEST } from "../view.js";
import { BandPicture } from "./band.js";

const HINT = "Click: that step. Drag: zoom in; below, the bar moves. + and −: zoom. Double click or Esc: all steps. Blue: return of each episode.";

/** The band of a capture, and everything that a pointer or a key does there. */
export class Overview extends Pane {
  constructor(shared) {
    super(shared, "overview", "Overview");
    this.title.id = "band-title";
    this.note.id = "band-note";
    this.element.setAttribute("aria-labelledby", "band-title");
    this.oneHead = new Option("head 0.0", "head");
    this.by = selecting("Attention of", [["mean", "all heads, mean"]], { "data-choice": "by" });
    this.by.lastChild.append(this.oneHead);
    const upwards = selecting("Upwards", [["age", "age"], ["transition", "transition"]], { "data-choice": "y" });
    this.whole = h("button", { id: "whole", type: "button", onclick: () => this.all() }, "all steps");
    this.bound("by", this.by.lastChild);
    this.bound("y", upwards.lastChild);
    this.controls.append(this.by, upwards, this.whole);
    const plot = drawing({ id: "band", tabindex: 0, "aria-labelledby": "band-title", "aria-describedby": "band-words" });
    this.words = h("span", { id: "band-words" });
    this.picture = new BandPicture(plot.firstChild, shared);
    this.taking = new Taking(() => this.taken());
    this.body.append(plot, h("p", { class: "hint" }, this.words, ` ${HINT}`), this.taking.element);
    this.drag = null;
    this.listen(plot.firstChild);
  }

  listen(canvas) {
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", () => this.cancel());
    canvas.addEventListener("dblclick", () => this.all());
  }

  all() {
    this.shared.view.change({ from: -1, to: -1 }, true);
  }

  update(changed) {
    const { values } = this.shared;
    const has = (...names) => names.some((name) => changed.has(name));
    for (const select of this.controls.querySelectorAll("[data-choice]")) select.value = values[select.dataset.choice];
    this.oneHead.textContent = `head ${this.shared.headName}`;
    this.whole.disabled = values.from < 0;
    const mine = values.by === "head" && has("layer", "head");
    if (has("y", "scale")) this.picture.forget();
    if (has("env", "from", "to", "by", "news") || mine) this.busy((signal) => this.ask(signal));
    this.draw();
  }

  async ask(signal) {
    const { source, about, news, values, view } = this.shared;
    const [first, last] = view.shownSteps(news.total);
    const asked = { env: this.shared.env, first, last };
    if (values.by === "head") [asked.layer, asked.head] = this.shared.head;
    const found = await source.ask("band", asked, signal);
    this.picture.take(found);
    this.refuse(about.rows ? "" : about.noRows);
    const every = found.every > 1 ? `; a column is one stored step in ${found.every}` : "";
    const many = found.episodes > 1 ? `; a return is the mean of ${found.episodes} episodes` : "";
    const unit = found.unit > 1 ? `; a cell is the mean of ${found.unit} tokens` : "";
    this.words.textContent = `Steps ${said(found.first)} to ${said(found.last - 1)}${every}${unit}${many}.`;
    this.draw();
  }

  draw() {
    this.picture.draw();
  }

  /** Return the step below a place of the canvas. */
  stepAt(x) {
    const { band } = this.picture.boxes(this.picture.canvas.clientWidth);
    const [first, last] = this.picture.shown;
    const step = Math.floor(first + ((x - band.x) / band.w) * (last - first));
    return Math.min(Math.max(step, first), Math.min(last, Math.max(1, this.shared.news.committed)) - 1);
  }

  at(event) {
    const area = this.picture.canvas.getBoundingClientRect();
    return [event.clientX - area.left, event.clientY - area.top];
  }

  down(event) {
    if (!this.shared.there || event.button !== 0) return;
    const [x, y] = this.at(event);
    const { rail } = this.picture.boxes(this.picture.canvas.clientWidth);
    const moves = y >= rail.y - 6 && this.shared.values.from >= 0;
    this.drag = { from: x, step: this.stepAt(x), moved: false, rail: moves ? { ...rail, first: this.shared.values.from } : null };
    this.picture.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.shared.there) return;
    const [x, y] = this.at(event);
    if (!this.drag) return void this.point(x, y);
    if (this.drag.rail) return void this.slide(x);
    this.drag.moved ||= Math.abs(x - this.drag.from) > 5;
    this.picture.brush = this.drag.moved ? [this.drag.from, x] : null;
    this.draw();
  }

  /** Move the shown steps along the run. */
  slide(x) {
    const { rail } = this.drag;
    const { from, to } = this.shared.values;
    const { total } = this.shared.news;
    const wanted = Math.round(rail.first + ((x - this.drag.from) / rail.w) * total);
    const first = Math.max(0, Math.min(total - (to - from), wanted));
    this.shared.view.change({ from: first, to: first + (to - from) });
  }

  up(event) {
    if (!this.drag) return;
    const { moved, step, rail } = this.drag;
    const end = this.stepAt(this.at(event)[0]);
    this.cancel();
    if (rail) return;
    const { view } = this.shared;
    if (!moved) view.change({ step }, true);
    else if (Math.abs(end - step) >= FEWEST - 1) view.change({ from: Math.min(step, end), to: Math.max(step, end) + 1 }, true);
  }

  /** Forget a drag, also one that the browser took for its own, as a scroll by touch is. */
  cancel() {
    this.drag = this.picture.brush = null;
    this.draw();
  }

  /** Tell what is below the pointer: a step, and in the band a slot with its weight. */
  point(x, y) {
    const { data, range } = this.picture;
    if (!data || !data.steps.length) return;
    const { band } = this.picture.boxes(this.picture.canvas.clientWidth);
    const step = this.stepAt(x);
    const share = 1 - (y - band.y) / band.h;
    const column = Math.max(0, data.steps.findLastIndex((one) => one <= step));
    if (share < 0 || share > 1) return void this.shared.tell({ step });
    const value = Math.floor(range[0] + share * (range[1] - range[0]));
    const bin = this.binAt(column, value);
    const outside = bin < 0 || bin >= this.picture.bins(column);
    const byte = outside ? ABSENT : data.shades[column * data.shape[1] + bin];
    const transition = outside ? null : this.picture.transitionOf(column, bin * data.unit);
    this.shared.tell({ step: data.steps[column], transition, weight: weightOf(byte), seen: data.lengths[column], of: this.shared.values.by, unit: data.unit });
  }

  binAt(column, value) {
    if (this.shared.values.y !== "age") return this.picture.binOf(column, value);
    return this.picture.binOfAge(column, Math.floor((value * this.shared.about.tokens) / this.picture.data.unit));
  }

  /** Return what a reader may take along. */
  taken() {
    const { about, values, env } = this.shared;
    const { data } = this.picture;
    if (!data || !data.steps.length) return null;
    const [low, high, every] = data.entries;
    const [layer, head] = this.shared.head;
    const axes = `over=(${about.axes.map((axis) => JSON.stringify(axis)).join(", ")})`;
    const mean = `.rows.mean((slice(${low}, ${high}, ${every}), ${env}), ${axes})`;
    const one = `.rows[${low}:${high}:${every}, ${env}, ${layer}, ${head}]`;
    const python = about.python + (values.by === "head" ? one : mean);
    return { picture: this.picture, python, name: `attention-overview-env${env}` };
  }
}
