// The picture of the overview: one column a step, attention by age or by transition, returns and rewards below.

import { across, colourBar, line, ticks, upright } from "../drawing/axes.js";
import { hatch, picture, put } from "../drawing/paint.js";
import { Picture } from "../drawing/picture.js";
import { ABSENT, LiftScale, mostOf, WeightScale } from "../drawing/scale.js";
import { drawReturns } from "./returns.js";

const BAND = { left: 58, right: 82, top: 10, high: 236 };
const GAP = 12;
const RETURNS = 78;
const BELOW = 44;
const RAIL = 14;
const MOST_LINES = 60;

/** Draws a frame of the question "band". */
export class BandPicture extends Picture {
  constructor(canvas, shared) {
    super(canvas);
    Object.assign(this, { shared, data: null, image: null, brush: null });
  }

  /** Take a frame; the picture is drawn by `draw`. */
  take(data) {
    Object.assign(this, { data, image: null });
  }

  /** Forget the pixels, because they are to stand in other places or in other colours. */
  forget() {
    this.image = null;
  }

  height() {
    return BAND.top + BAND.high + GAP + RETURNS + BELOW + RAIL;
  }

  boxes(width) {
    const w = Math.max(40, width - BAND.left - BAND.right);
    const band = { x: BAND.left, y: BAND.top, w, h: BAND.high };
    const returns = { x: BAND.left, y: BAND.top + BAND.high + GAP, w, h: RETURNS };
    return { band, returns, rail: { x: BAND.left, y: returns.y + RETURNS + BELOW, w, h: 8 } };
  }

  get shown() {
    return this.shared.view.shownSteps(this.shared.news.total);
  }

  x(step, box) {
    const [first, last] = this.shown;
    return box.x + ((step - first) / (last - first)) * box.w;
  }

  paint(pen, width, colours) {
    if (!this.shared.about || !this.shared.news) return;
    const { band, returns, rail } = this.boxes(width);
    hatch(pen, band, colours);
    if (this.data && this.data.steps.length) this.paintBand(pen, band, colours);
    drawReturns(pen, returns, this.data, (step) => this.x(step, returns), colours);
    const [first, last] = this.shown;
    const middle = (step) => this.x(step + 0.5, returns);
    across(pen, returns, ticks(first, last - 1, width / 110, true), middle, "environment step", colours);
    this.paintCursors(pen, band, returns, colours);
    this.paintRail(pen, rail, colours);
  }

  paintBand(pen, box, colours) {
    const { steps, last, boundaries } = this.data;
    this.image ||= this.shared.values.y === "age" ? this.byAge() : this.byTransition();
    const [from, to] = [this.x(steps[0], box), this.x(last, box)];
    pen.save();
    pen.beginPath();
    pen.rect(box.x, box.y, box.w, box.h);
    pen.clip();
    pen.fillStyle = colours.panel;
    pen.fillRect(from, box.y, to - from, box.h);
    put(pen, this.image, { x: from, y: box.y, w: to - from, h: box.h });
    pen.strokeStyle = colours.mark;
    pen.lineWidth = 1;
    const few = boundaries.length <= MOST_LINES ? boundaries : [];
    for (const step of few) line(pen, this.x(step, box), box.y, this.x(step, box), box.y + box.h);
    pen.restore();
    const [low, high] = this.range;
    const place = (value) => box.y + box.h * (1 - (value + 0.5 - low) / (high - low));
    const title = this.shared.values.y === "age" ? "age (transitions)" : "transition";
    upright(pen, box, ticks(low, high - 1, 5, true), place, title, colours);
    colourBar(pen, box, this.scale, colours);
  }

  get scale() {
    const { shades, lengths } = this.data;
    const top = mostOf(shades);
    return this.shared.values.scale === "lift" ? LiftScale.of(top, Math.max(...lengths)) : new WeightScale(top, true);
  }

  bins(column) {
    return Math.ceil(this.data.lengths[column] / this.data.unit);
  }

  /** Return the bin of an age in bins, 0 the query's own; −1 past the context. */
  binOfAge(column, age) {
    const held = this.bins(column);
    if (age >= held) return -1;
    if (!this.shared.about.queryFirst) return held - 1 - age;
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
    this.range = [0, (bins * unit) / this.shared.about.tokens];
    return this.coloured(out, columns, bins);
  }

  byTransition() {
    const { shades, shape, starts, lengths, unit } = this.data;
    const [columns, bins] = shape;
    const low = Math.min(...starts);
    const own = (column) => lengths[column] - this.latents(column);
    const high = Math.max(...starts.map((start, column) => start + Math.ceil(own(column) / this.shared.about.tokens)));
    const rows = Math.min(480, high - low);
    const out = new Uint8Array(columns * rows).fill(ABSENT);
    for (let column = 0; column < columns; column++) {
      for (let bin = 0; bin < this.bins(column); bin++) {
        const transition = this.transitionOf(column, bin * unit);
        if (transition < low) continue; // a latent
        const row = rows - 1 - Math.floor(((transition - low) * rows) / (high - low));
        const at = row * columns + column;
        const byte = shades[column * bins + bin];
        if (out[at] === ABSENT || (byte !== ABSENT && byte > out[at])) out[at] = byte;
      }
    }
    this.range = [low, high];
    return this.coloured(out, columns, rows);
  }

  coloured(out, columns, rows) {
    return picture(out, columns, rows, this.scale, (column) => this.data.lengths[column]);
  }

  /** Return how many slots at the front of a column's context are latents. */
  latents(column) {
    return this.data.summaries ? this.data.summaries[column] : 0;
  }

  transitionOf(column, slot) {
    const { queryFirst, tokens } = this.shared.about;
    const history = queryFirst ? slot - 1 : slot;
    if (queryFirst && slot === 0) return this.data.steps[column];
    const latents = this.latents(column);
    if (slot < latents) return -1;
    return this.data.starts[column] + Math.floor((history - latents) / tokens);
  }

  binOf(column, transition) {
    const { queryFirst, tokens } = this.shared.about;
    if (queryFirst && transition === this.data.steps[column]) return 0;
    const latents = this.latents(column);
    const slot = (transition - this.data.starts[column]) * tokens + (queryFirst ? 1 : latents);
    return Math.floor(slot / this.data.unit);
  }

  paintCursors(pen, band, returns, colours) {
    const bottom = returns.y + returns.h;
    pen.lineWidth = 2;
    pen.strokeStyle = colours.cursor;
    const at = this.x(this.shared.step + 0.5, band);
    if (at >= band.x && at <= band.x + band.w) line(pen, at, band.y - 6, at, bottom);
    if (!this.brush) return;
    const [from, to] = this.brush;
    pen.fillStyle = colours.accent;
    pen.globalAlpha = 0.25;
    pen.fillRect(Math.min(from, to), band.y, Math.abs(to - from), bottom - band.y);
    pen.globalAlpha = 1;
  }

  /** Draw where the shown steps lie among all, once they are fewer; its place is kept free. */
  paintRail(pen, rail, colours) {
    const { total } = this.shared.news;
    const [first, last] = this.shown;
    if (first === 0 && last >= total) return;
    pen.fillStyle = colours.line;
    pen.fillRect(rail.x, rail.y, rail.w, rail.h);
    pen.fillStyle = colours.accent;
    const from = rail.x + (rail.w * first) / total;
    pen.fillRect(from, rail.y, Math.max(3, (rail.w * (last - first)) / total), rail.h);
  }
}
