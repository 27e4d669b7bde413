// Every head at one step: small pictures to choose from, and the chosen one large, with axes and a cursor.

import { across, begin, colourBar, colourBarAcross, line, theme, ticks, upright } from "./axes.js";
import { ABSENT, hatch, picture, put, topOf, weightOf } from "./paint.js";
import { change, state } from "./state.js";

const SIDES = { left: 58, right: 82, top: 12, below: 44 };
const STRIP = 22;
const MAP_DIMS = 4; // layer, head, query, slot
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Draws the heads of one step, and takes clicks and keys. */
export class Heads {
  constructor(grid, canvas, ramp, tell) {
    Object.assign(this, { grid, canvas, ramp, tell, data: null, one: null, cursor: null });
    grid.addEventListener("keydown", (event) => this.arrow(event));
    canvas.addEventListener("pointermove", (event) => this.point(event));
    canvas.addEventListener("pointerleave", () => this.put(null));
    canvas.addEventListener("keydown", (event) => this.walk(event));
  }

  /** Make a button a head; called once. */
  build(about) {
    this.about = about;
    this.grid.style.gridTemplateColumns = `repeat(${about.heads.length}, minmax(0, 1fr))`;
    about.layers.forEach((layer, row) => about.heads.forEach((head, column) => {
      const button = document.createElement("button");
      const canvas = document.createElement("canvas");
      const name = document.createElement("span");
      name.textContent = `${layer}.${head}`;
      button.append(canvas, name);
      button.type = "button";
      button.setAttribute("role", "radio");
      button.setAttribute("aria-label", `layer ${layer}, head ${head}`);
      button.addEventListener("click", () => change({ layer: row, head: column }, true));
      this.grid.append(button);
    }));
  }

  /** Show a frame of `/api/heads`, and in maps the one of `/api/map`. */
  show(data, one) {
    Object.assign(this, { data, one });
    this.top = topOf(data.shades);
    this.cursor = null;
    this.draw();
  }

  /** Show nothing, while there is no answer or none is possible. */
  clear() {
    Object.assign(this, { data: null, one: null, cursor: null });
    this.draw();
  }

  /** Return a head's weights of a frame. */
  cut(frame, layer, head) {
    const size = frame.shape.slice(2).reduce((product, one) => product * one, 1);
    const first = (layer * this.about.heads.length + head) * size;
    return frame.shades.subarray(first, first + size);
  }

  chosen() {
    const { heads, layers } = this.about;
    return [Math.min(state.layer, layers.length - 1), Math.min(state.head, heads.length - 1)];
  }

  /** Return whether maps are shown; while another kind is asked for, the one before stays. */
  maps() {
    return this.data ? this.data.shape.length === MAP_DIMS : state.kind === "maps";
  }

  /** Return the weights of the chosen head, and the slots that one of them stands for. */
  focus() {
    const frame = this.one || this.data;
    const shades = this.one ? this.one.shades : this.cut(this.data, ...this.chosen());
    const n = frame.shape[frame.shape.length - 1];
    return { shades, n, unit: frame.unit, maps: this.maps(), top: state.scale === "shared" ? this.top : topOf(shades) };
  }

  draw() {
    if (!this.about) return;
    this.drawGrid();
    this.drawRamp();
    this.drawFocus();
  }

  drawGrid() {
    const [layer, head] = this.chosen();
    const maps = this.maps();
    this.grid.classList.toggle("maps", maps);
    [...this.grid.children].forEach((button, place) => {
      const [row, column] = [Math.floor(place / this.about.heads.length), place % this.about.heads.length];
      const mine = row === layer && column === head;
      button.setAttribute("aria-checked", String(mine));
      button.tabIndex = mine ? 0 : -1;
      const canvas = button.firstChild;
      const n = this.data ? this.data.shape[this.data.shape.length - 1] : 1;
      Object.assign(canvas, { width: n, height: maps ? n : 1 });
      if (!this.data) return;
      const shades = this.cut(this.data, row, column);
      const top = state.scale === "shared" ? this.top : topOf(shades);
      canvas.getContext("2d").drawImage(picture(shades, n, maps ? n : 1, top), 0, 0);
    });
  }

  /** Draw the scale of the small pictures; where each has its own, the chosen one's. */
  drawRamp() {
    const { pen, width } = begin(this.ramp, 52);
    if (!this.data) return;
    const own = state.scale === "own";
    const top = own ? topOf(this.cut(this.data, ...this.chosen())) : this.top;
    colourBarAcross(pen, { x: 8, y: 4, w: Math.min(width, 420) - 30, h: 10 }, top, theme());
  }

  box(width) {
    const side = width - SIDES.left - SIDES.right;
    const high = this.maps() ? Math.min(side, 620) : 220;
    return { x: SIDES.left, y: SIDES.top, w: this.maps() ? high : side, h: high };
  }

  drawFocus() {
    const colours = theme();
    const maps = this.maps();
    const wide = Math.max(120, Math.floor(this.canvas.parentElement.clientWidth));
    const box = this.box(wide);
    const { pen } = begin(this.canvas, SIDES.top + box.h + (maps ? 0 : STRIP + 8) + SIDES.below);
    hatch(pen, box, colours);
    if (!this.data) return;
    if (maps) this.drawMap(pen, box, colours);
    else this.drawRow(pen, box, colours);
  }

  drawMap(pen, box, colours) {
    const { shades, n, unit, top } = this.focus();
    put(pen, picture(shades, n, n, top), box);
    const at = (slot) => box.x + ((slot / unit) / n) * box.w;
    const down = (slot) => box.y + ((slot / unit) / n) * box.h;
    pen.strokeStyle = colours.mark;
    pen.lineWidth = 1;
    for (const slot of this.data.boundaries) {
      line(pen, at(slot), box.y, at(slot), box.y + box.h);
      line(pen, box.x, down(slot), box.x + box.w, down(slot));
    }
    const names = this.named(6);
    across(pen, box, names, (name) => at(this.slotOf(name) + 0.5), "key: transition attended to", colours);
    upright(pen, box, names, (name) => down(this.slotOf(name) + 0.5), "query", colours);
    colourBar(pen, box, top, colours);
    if (!this.cursor) return;
    pen.strokeStyle = colours.cursor;
    pen.lineWidth = 2;
    const cell = box.w / n;
    pen.strokeRect(box.x + this.cursor.key * cell - 1, box.y + this.cursor.query * cell - 1, cell + 2, cell + 2);
  }

  drawRow(pen, box, colours) {
    const { shades, n, top } = this.focus();
    const most = Math.max(weightOf(topOf(shades)), 1.5 / this.data.length);
    const up = (weight) => box.y + box.h * (1 - weight / most);
    pen.fillStyle = colours.panel;
    pen.fillRect(box.x, box.y, box.w, box.h);
    const bar = box.w / n;
    shades.forEach((byte, slot) => {
      if (byte === ABSENT) return;
      pen.fillStyle = colours.accent;
      const y = Math.max(box.y, up(weightOf(byte)));
      pen.fillRect(box.x + slot * bar, y, Math.max(1, bar - (bar > 4 ? 1 : 0)), box.y + box.h - y);
    });
    pen.setLineDash([2, 3]);
    pen.strokeStyle = colours.soft;
    for (const slot of this.data.boundaries) line(pen, box.x + slot * bar, box.y, box.x + slot * bar, box.y + box.h);
    pen.setLineDash([6, 4]);
    pen.strokeStyle = colours.cursor;
    const even = up(1 / this.data.length);
    if (even >= box.y) {
      line(pen, box.x, even, box.x + box.w, even);
      pen.fillStyle = colours.cursor;
      pen.textAlign = "left";
      pen.textBaseline = "middle";
      pen.fillText("uniform", box.x + box.w + 6, even);
    }
    pen.setLineDash([]);
    const strip = { x: box.x, y: box.y + box.h + 4, w: box.w, h: STRIP };
    put(pen, picture(shades, n, 1, top), strip);
    const middle = (name) => box.x + (this.slotOf(name) + 0.5) * bar;
    across(pen, strip, this.named(box.w / 90), middle, "transition attended to", colours);
    upright(pen, box, ticks(0, most, 4), up, "attention weight", colours);
    if (!this.cursor) return;
    pen.strokeStyle = colours.cursor;
    pen.lineWidth = 2;
    pen.strokeRect(box.x + this.cursor.key * bar - 1, box.y, Math.max(bar, 2) + 2, box.h + STRIP + 5);
  }

  transitionOf(slot) {
    const { queryFirst, tokens } = this.about;
    if (queryFirst && slot === 0) return this.data.step;
    return this.data.start + Math.floor((queryFirst ? slot - 1 : slot) / tokens);
  }

  /** Return the first slot of a transition. */
  slotOf(transition) {
    return (transition - this.data.start) * this.about.tokens + (this.about.queryFirst ? 1 : 0);
  }

  /** Return about so many round transition numbers of the context. */
  named(count) {
    const { start, length } = this.data;
    const last = start + Math.floor((length - 1) / this.about.tokens) - (this.about.queryFirst ? 1 : 0);
    return ticks(start, Math.max(start, last), count, true);
  }

  place(event) {
    const area = this.canvas.getBoundingClientRect();
    const box = this.box(area.width);
    const { n } = this.focus();
    const key = Math.floor(((event.clientX - area.left - box.x) / box.w) * n);
    const query = Math.floor(((event.clientY - area.top - box.y) / box.h) * n);
    const maps = this.maps();
    const inside = key >= 0 && key < n && query >= 0 && (query < n || !maps);
    return inside ? { key, query: maps ? query : n - 1 } : null;
  }

  point(event) {
    if (this.data) this.put(this.place(event));
  }

  /** Put the cursor on a cell, draw it and tell its weight. */
  put(cursor) {
    if (!this.data) return;
    this.cursor = cursor;
    this.drawFocus();
    if (!cursor) return void this.tell(null);
    const { shades, n, unit, maps } = this.focus();
    const byte = shades[maps ? cursor.query * n + cursor.key : cursor.key];
    const whole = !maps || this.about.queryFirst || !this.about.causal;
    const seen = whole ? this.data.length : Math.min(this.data.length, (cursor.query + 1) * unit);
    const told = { step: this.data.step, transition: this.transitionOf(cursor.key * unit), weight: weightOf(byte), seen, of: "head", unit };
    if (maps) told.query = this.transitionOf(Math.min(this.data.length - 1, (cursor.query + 1) * unit - 1));
    this.tell(told);
  }

  /** Move the choice among the heads. */
  arrow(event) {
    const move = ARROWS[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    const [layer, head] = this.chosen();
    const [layers, heads] = [this.about.layers.length, this.about.heads.length];
    change({ layer: (layer + move[0] + layers) % layers, head: (head + move[1] + heads) % heads });
    this.grid.querySelector('[aria-checked="true"]').focus();
  }

  /** Move the cursor in the large picture. */
  walk(event) {
    const move = ARROWS[event.key];
    if (!move || !this.data) return;
    event.preventDefault();
    event.stopPropagation();
    const { n } = this.focus();
    const maps = this.maps();
    const from = this.cursor || { key: n - 1, query: n - 1 };
    const inside = (value) => Math.min(n - 1, Math.max(0, value));
    this.put(this.cursor ? { key: inside(from.key + move[1]), query: maps ? inside(from.query + move[0]) : n - 1 } : from);
  }
}
