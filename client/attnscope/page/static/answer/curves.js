// Departure of live decisions against the tokens that a rule keeps, a line for each way to stand, with 95 % bands.

import { h } from "../dom.js";
import { across, ticks, upright } from "../drawing/axes.js";
import { Picture } from "../drawing/picture.js";
import { between } from "./departures.js";

const SIDES = { left: 62, right: 16, top: 12, below: 44 };
const HEIGHT = 260;
const BAND = 0.18; // opacity
const NAMES = ["accent", "cursor", "reward", "ink"];
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const DOT = 3.5;
const NEAR = 24; // pixels from which a point answers to the pointer

const sized = (point) => (point.dip ? 6 : DOT);

/** Draws one rule among all others; a pointer or the arrow keys tell its points. */
export class Curves extends Picture {
  constructor(tell) {
    super(h("canvas", { tabindex: "0", role: "img", "aria-label": "Departure of live decisions against history tokens kept" }));
    Object.assign(this, { tell, data: null, rule: null, at: -1 });
    this.select = h("select");
    this.legend = h("p", { class: "hint legend" });
    const label = h("label", {}, "Rule ", this.select);
    this.element = h("div", {}, h("div", { class: "controls" }, label), h("div", { class: "plot" }, this.canvas), this.legend);
    this.select.addEventListener("change", () => this.choose(this.select.value));
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("keydown", (event) => this.walk(event));
  }

  /** Show the curves of a screen; the chosen rule stays where there still is one of its name. */
  show(curves) {
    this.data = curves;
    this.select.replaceChildren(...curves.rules.map((one) => h("option", { value: one.name }, one.name)));
    const same = curves.rules.find((one) => this.rule && one.name === this.rule.name);
    this.take(same || curves.rules[0] || null);
  }

  /** Choose a rule by its name; a rule without a curve changes nothing. */
  choose(name) {
    const found = this.data && this.data.rules.find((one) => one.name === name);
    if (found) this.take(found);
  }

  take(rule) {
    this.rule = rule;
    this.at = -1;
    if (rule) this.select.value = rule.name;
    const names = rule ? rule.lines.map((one) => this.key(one.positions)) : [];
    this.legend.replaceChildren(...(rule ? ["Tokens stand: ", ...names, "Grey: the other rules. Bands: 95 %."] : []));
    this.draw();
  }

  key(positions) {
    const mark = h("span", { class: `key key-${this.data.positions.indexOf(positions) % NAMES.length}` }, positions);
    return h("span", {}, mark, " ");
  }

  points() {
    return this.rule ? this.rule.lines.flatMap((one) => one.points.map((point) => ({ ...point, positions: one.positions }))) : [];
  }

  box(width) {
    return { x: SIDES.left, y: SIDES.top, w: width - SIDES.left - SIDES.right, h: HEIGHT };
  }

  height() {
    return SIDES.top + HEIGHT + SIDES.below;
  }

  paint(pen, width, colours) {
    const box = this.box(width);
    const every = (this.data ? this.data.rules : []).flatMap((rule) => rule.lines.flatMap((one) => one.points));
    if (!every.length || !this.rule) return;
    const most = Math.max(...every.map((point) => point.tokens)) * 1.03;
    const top = Math.max(1e-6, ...every.map((point) => point.tv[0] ?? 0), ...this.points().map((point) => point.tv[2] ?? 0)) * 1.05;
    this.x = (tokens) => box.x + (tokens / most) * box.w;
    this.y = (departure) => box.y + box.h * (1 - Math.min(1, departure / top));
    pen.strokeStyle = colours.line;
    pen.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
    pen.lineWidth = 1;
    for (const rule of this.data.rules) if (rule !== this.rule) rule.lines.forEach((one) => this.path(pen, one.points, colours.hatch));
    for (const one of this.rule.lines) this.drawLine(pen, one, colours);
    across(pen, box, ticks(0, most, width / 90), this.x, "history tokens kept", colours);
    upright(pen, box, ticks(0, top, 5), this.y, this.data.measure.axis, colours);
    const point = this.points()[this.at];
    if (!point) return;
    pen.strokeStyle = colours.ink;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(this.x(point.tokens), this.y(point.tv[0]), 8, 0, 7);
    pen.stroke();
  }

  path(pen, points, colour) {
    pen.strokeStyle = colour;
    pen.beginPath();
    for (const point of points) if (point.tv[0] !== null) pen.lineTo(this.x(point.tokens), this.y(point.tv[0]));
    pen.stroke();
  }

  drawLine(pen, one, colours) {
    const place = this.data.positions.indexOf(one.positions) % NAMES.length;
    const colour = colours[NAMES[place]];
    const banded = one.points.filter((point) => point.tv[1] !== null && point.tv[2] !== null);
    pen.fillStyle = colour;
    pen.globalAlpha = BAND;
    pen.beginPath();
    for (const point of banded) pen.lineTo(this.x(point.tokens), this.y(point.tv[2]));
    for (const point of banded.toReversed()) pen.lineTo(this.x(point.tokens), this.y(point.tv[1]));
    pen.fill();
    pen.globalAlpha = 1;
    pen.lineWidth = 2;
    pen.setLineDash(DASHES[place]);
    this.path(pen, one.points, colour);
    pen.setLineDash([]);
    for (const point of one.points) {
      if (point.tv[0] === null) continue;
      pen.beginPath();
      pen.arc(this.x(point.tokens), this.y(point.tv[0]), sized(point), 0, 7);
      pen.fill();
    }
    pen.fillStyle = colours.ink;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const point of one.points) if (point.dip) pen.fillText(`dip at ${point.budget}`, this.x(point.tokens), this.y(point.tv[0]) + 9);
  }

  /** Tell the point next to the pointer. */
  point(event) {
    if (!this.x) return;
    const area = this.canvas.getBoundingClientRect();
    const far = this.points().map((point) => Math.hypot(this.x(point.tokens) - event.clientX + area.left, this.y(point.tv[0] ?? 0) - event.clientY + area.top));
    const nearest = far.indexOf(Math.min(...far));
    this.put(far[nearest] <= NEAR ? nearest : -1);
  }

  walk(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const count = this.points().length;
    if (!move || !count) return;
    event.preventDefault();
    event.stopPropagation();
    this.put(Math.min(count - 1, Math.max(0, this.at + move)));
  }

  put(at) {
    if (at === this.at) return;
    this.at = at;
    this.draw();
    const point = this.points()[at];
    if (!point) return;
    const dip = point.dip ? " It departs less than its neighbours: a dip." : "";
    const kept = `${point.tokens.toFixed(1)} tokens kept (${point.budget}), tokens stand: ${point.positions}`;
    this.tell(`${this.rule.name}, ${kept}: ${between(point.tv, 3)} ${this.data.measure.decision}.${dip}`);
  }
}
