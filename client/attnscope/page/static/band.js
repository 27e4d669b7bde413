// The overview: one column a step, attention by age or by transition, with returns and rewards below on the same axis.

import { across, begin, colourBar, line, said, theme, ticks, upright } from "./axes.js";
import { ABSENT, hatch, mostOf, picture, put, weightOf } from "./paint.js";
import { drawReturns } from "./returns.js";
import { change, shownSteps, state } from "./state.js";

const BAND = { left: 58, right: 82, top: 10, high: 236 };
const GAP = 12;
const RETURNS = 78;
const BELOW = 44;

/** Draws the band on a canvas, and takes clicks, drags and keys there. */
export class Band {
  constructor(canvas, tell) {
    this.canvas = canvas;
    this.tell = tell;
    this.data = null;
    this.hover = null;
    this.drag = null;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", () => this.cancel());
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("dblclick", () => change({ from: -1, to: -1 }, true));
  }

  /** Show a frame of `/api/band`; null while there is none. */
  show(data, about, news) {
    const fresh = data !== this.data;
    Object.assign(this, { data, about, news });
    if (data && fresh) this.top = mostOf(data.shades);
    this.image = null;
    this.draw();
  }

  boxes(width) {
    const w = width - BAND.left - BAND.right;
    const band = { x: BAND.left, y: BAND.top, w, h: BAND.high };
    return { band, returns: { x: BAND.left, y: BAND.top + BAND.high + GAP, w, h: RETURNS } };
  }

  x(step, box) {
    const [first, last] = shownSteps(this.news.total);
    return box.x + ((step - first) / (last - first)) * box.w;
  }

  draw() {
    if (!this.about || !this.news) return;
    const colours = theme();
    const { pen, width } = begin(this.canvas, BAND.top + BAND.high + GAP + RETURNS + BELOW);
    const { band, returns } = this.boxes(width);
    hatch(pen, band, colours);
    const drawn = this.data && this.data.steps.length;
    if (drawn) this.drawBand(pen, band, colours);
    drawReturns(pen, returns, this.data, (step) => this.x(step, returns), colours);
    const [first, last] = shownSteps(this.news.total);
    const middle = (step) => this.x(step + 0.5, returns);
    across(pen, returns, ticks(first, last - 1, width / 110, true), middle, "environment step", colours);
    this.drawCursors(pen, band, returns, colours);
  }

  drawBand(pen, box, colours) {
    const { steps, last } = this.data;
    this.image ||= state.y === "age" ? this.byAge() : this.byTransition();
    const [from, to] = [this.x(steps[0], box), this.x(last, box)];
    pen.save();
    pen.beginPath();
    pen.rect(box.x, box.y, box.w, box.h);
    pen.clip();
    pen.fillStyle = colours.panel;
    pen.fillRect(from, box.y, to - from, box.h);
    put(pen, this.image, { x: from, y: box.y, w: to - from, h: box.h });
    pen.restore();
    const [low, high] = this.range;
    const place = (value) => box.y + box.h * (1 - (value + 0.5 - low) / (high - low));
    const title = state.y === "age" ? "age (transitions)" : "transition";
    upright(pen, box, ticks(low, high - 1, 5, true), place, title, colours);
    colourBar(pen, box, this.top, colours, true);
  }

  bins(column) {
    return Math.ceil(this.data.lengths[column] / this.data.unit);
  }

  /** Return the bin of an age in bins, 0 the query's own; −1 past the context. */
  binOfAge(column, age) {
    const held = this.bins(column);
    if (age >= held) return -1;
    if (!this.about.queryFirst) return held - 1 - age;
    return age === 0 ? 0 : held - age;
  }

  byAge() {
    const { shades, shape, unit } = this.data;
    const [columns, bins] = shape;
    const out = new Uint8Array(columns * bins).fill(ABSENT);
    for (let column = 0; column < columns; column++) {
      for (let age = 0; age < this.bins(column); age++) {
        out[(bins - 1 - age) * columns + column] = shades[column * bins + this.binOfAge(column, age)];
      }
    }
    this.range = [0, (bins * unit) / this.about.tokens];
    return picture(out, columns, bins, this.top);
  }

  byTransition() {
    const { shades, shape, starts, lengths, unit } = this.data;
    const [columns, bins] = shape;
    const low = Math.min(...starts);
    const high = Math.max(...starts.map((start, column) => start + Math.ceil(lengths[column] / this.about.tokens)));
    const rows = Math.min(480, high - low);
    const out = new Uint8Array(columns * rows).fill(ABSENT);
    for (let column = 0; column < columns; column++) {
      for (let bin = 0; bin < this.bins(column); bin++) {
        const transition = this.transitionOf(column, bin * unit);
        const row = rows - 1 - Math.floor(((transition - low) * rows) / (high - low));
        const at = row * columns + column;
        const byte = shades[column * bins + bin];
        if (out[at] === ABSENT || (byte !== ABSENT && byte > out[at])) out[at] = byte;
      }
    }
    this.range = [low, high];
    return picture(out, columns, rows, this.top);
  }

  transitionOf(column, slot) {
    const history = this.about.queryFirst ? slot - 1 : slot;
    if (this.about.queryFirst && slot === 0) return this.data.steps[column];
    return this.data.starts[column] + Math.floor(history / this.about.tokens);
  }

  drawCursors(pen, band, returns, colours) {
    const bottom = returns.y + returns.h;
    pen.lineWidth = 2;
    pen.strokeStyle = colours.cursor;
    const at = this.x(this.step() + 0.5, band);
    if (at >= band.x && at <= band.x + band.w) line(pen, at, band.y - 6, at, bottom);
    if (this.drag && this.drag.moved) {
      pen.fillStyle = colours.accent;
      pen.globalAlpha = 0.25;
      pen.fillRect(Math.min(this.drag.from, this.drag.to), band.y, Math.abs(this.drag.to - this.drag.from), bottom - band.y);
      pen.globalAlpha = 1;
    }
  }

  step() {
    return state.step < 0 ? Math.max(0, this.news.committed - 1) : state.step;
  }

  /** Return the step below a pointer. */
  stepAt(event) {
    const area = this.canvas.getBoundingClientRect();
    const { band } = this.boxes(area.width);
    const [first, last] = shownSteps(this.news.total);
    const step = Math.floor(first + ((event.clientX - area.left - band.x) / band.w) * (last - first));
    return Math.min(Math.max(step, first), Math.min(last, Math.max(1, this.news.committed)) - 1);
  }

  down(event) {
    if (!this.news || event.button !== 0) return;
    const x = event.clientX - this.canvas.getBoundingClientRect().left;
    this.drag = { from: x, to: x, step: this.stepAt(event), moved: false };
    this.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.news) return;
    if (!this.drag) return void this.point(event);
    this.drag.to = event.clientX - this.canvas.getBoundingClientRect().left;
    this.drag.moved ||= Math.abs(this.drag.to - this.drag.from) > 5;
    this.draw();
  }

  up(event) {
    if (!this.drag) return;
    const { moved, step } = this.drag;
    const end = this.stepAt(event);
    this.drag = null;
    if (!moved) change({ step }, true);
    else if (Math.abs(end - step) >= 3) change({ from: Math.min(step, end), to: Math.max(step, end) + 1 }, true);
    this.draw();
  }

  /** Forget a drag that the browser took for its own, as a scroll by touch is. */
  cancel() {
    this.drag = null;
    this.draw();
  }

  leave() {
    if (!this.drag) this.tell(null);
  }

  /** Tell what is below the pointer: a step, and in the band a slot with its weight. */
  point(event) {
    if (!this.data || !this.data.steps.length) return;
    const area = this.canvas.getBoundingClientRect();
    const { band } = this.boxes(area.width);
    const step = this.stepAt(event);
    const share = 1 - (event.clientY - area.top - band.y) / band.h;
    let column = this.data.steps.findLastIndex((one) => one <= step);
    if (column < 0) column = 0;
    if (share < 0 || share > 1) return void this.tell({ step });
    const [low, high] = this.range;
    const value = Math.floor(low + share * (high - low));
    const bin = state.y === "age" ? this.binOfAge(column, Math.floor((value * this.about.tokens) / this.data.unit)) : this.binOf(column, value);
    const outside = bin < 0 || bin >= this.bins(column);
    const byte = outside ? ABSENT : this.data.shades[column * this.data.shape[1] + bin];
    const transition = outside ? null : this.transitionOf(column, bin * this.data.unit);
    this.tell({ step: this.data.steps[column], transition, weight: weightOf(byte), seen: this.data.lengths[column], of: state.by });
  }

  binOf(column, transition) {
    if (this.about.queryFirst && transition === this.data.steps[column]) return 0;
    const slot = (transition - this.data.starts[column]) * this.about.tokens + (this.about.queryFirst ? 1 : 0);
    return Math.floor(slot / this.data.unit);
  }

  /** Say what the picture shows, for a screen reader. */
  words() {
    if (!this.data) return "";
    const every = this.data.every > 1 ? `; a column is every ${this.data.every}th stored step` : "";
    const unit = this.data.unit > 1 ? `; a cell is the mean of ${this.data.unit} tokens` : "";
    return `Steps ${said(this.data.first)} to ${said(this.data.last - 1)}${every}${unit}.`;
  }
}
