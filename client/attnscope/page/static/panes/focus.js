// The chosen head, large: its decision row or its map, with a cursor that the pointer and the keys move.

import { drawing, h } from "../dom.js";
import { hatch } from "../drawing/paint.js";
import { Picture } from "../drawing/picture.js";
import { weightOf } from "../drawing/scale.js";
import { ageOfSlot, seenBy, slotOfAge, summaryWords, transitionOf } from "../context.js";
import { cut, isMaps, scaleOf, topOfAll } from "../frames.js";
import { newest, Refused } from "../source.js";
import { Taking } from "../taking.js";
import { BELOW_BARS, paintMap, paintRow } from "./rows.js";

const SIDES = { left: 58, right: 82, top: 12, below: 44 };
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const IDS = { python: "copy-python", png: "save-png", svg: "save-svg", told: "taken" };

class Large extends Picture {
  constructor(canvas, focus) {
    super(canvas);
    this.focus = focus;
  }

  /** The box of the numbers: a square for maps, which keeps its size while another map is asked for. */
  box(width) {
    const side = Math.max(40, width - SIDES.left - SIDES.right);
    const high = this.focus.maps ? Math.min(side, 620) : 220;
    return { x: SIDES.left, y: SIDES.top, w: this.focus.maps ? high : side, h: high };
  }

  height(width) {
    return SIDES.top + this.box(width).h + (this.focus.maps ? 0 : BELOW_BARS) + SIDES.below;
  }

  paint(pen, width, colours) {
    const box = this.box(width);
    hatch(pen, box, colours);
    const shown = this.focus.shown();
    if (!shown) return;
    if (isMaps(this.focus.frame)) paintMap(pen, box, shown, colours);
    else paintRow(pen, box, shown, colours);
  }
}

/** The large picture beside the small ones of `heads`. */
export class Focus {
  constructor(shared, heads) {
    Object.assign(this, { shared, heads, one: null, told: null });
    const plot = drawing({ id: "focus", tabindex: 0, "aria-label": "The chosen head", "aria-describedby": "words" });
    const canvas = plot.firstChild;
    this.picture = new Large(canvas, this);
    this.taking = new Taking(() => this.taken(), IDS);
    this.element = h("div", {}, plot, this.taking.element);
    this.newest = newest((signal) => this.ask(signal));
    canvas.addEventListener("pointermove", (event) => this.point(event));
    canvas.addEventListener("pointerleave", () => this.shared.view.point(null));
    canvas.addEventListener("click", (event) => this.pin(event));
    canvas.addEventListener("keydown", (event) => this.walk(event));
  }

  get maps() {
    return this.shared.values.kind === "maps";
  }

  get frame() {
    return this.heads.frame;
  }

  /** Return what is drawn, with the cursor in bins; null while there is nothing. */
  shown() {
    const { frame } = this;
    if (!frame) return null;
    const { about, head, values } = this.shared;
    const one = isMaps(frame) && frame.unit > 1 ? this.one : null;
    const own = one && one.of === frame && String(one.head) === String(head) ? one : null;
    const shades = own ? own.shades : cut(about, frame, ...head);
    const drawn = own ? { ...frame, shape: own.shape, unit: own.unit } : frame;
    const scale = scaleOf(values, drawn, shades, topOfAll(frame));
    const seen = (query) => (isMaps(frame) ? seenBy(about, drawn, query) : frame.length);
    return { about, frame: drawn, shades, scale, seen, lift: values.scale === "lift", ...this.cursor(drawn) };
  }

  /** Return the bins of the cursor: of the pointer or keys, else of the age that the view holds. */
  cursor(frame) {
    const { about, view, values } = this.shared;
    const at = view.cursor || (values.age >= 0 ? { age: values.age, query: 0 } : null);
    const n = frame.shape[frame.shape.length - 1];
    const slot = at ? slotOfAge(about, frame.length, at.age) : -1;
    if (slot < 0) return { key: -1, query: -1 };
    const query = Math.max(0, slotOfAge(about, frame.length, at.query));
    return { key: Math.min(n - 1, Math.floor(slot / frame.unit)), query: Math.min(n - 1, Math.floor(query / frame.unit)) };
  }

  update(changed) {
    const has = (...names) => names.some((name) => changed.has(name));
    const pooled = this.maps && this.frame && this.frame.unit > 1;
    if (pooled && has("maps", "layer", "head")) this.detail();
    if (has("decision", "maps", "layer", "head", "kind", "scale", "cursor", "age")) this.draw();
    if (has("decision", "maps", "layer", "head", "cursor", "age")) this.say();
  }

  /** Ask for the whole map of the chosen head, where those of all heads are pooled. */
  async detail() {
    this.element.setAttribute("aria-busy", "true");
    try {
      await this.newest();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.heads.refuse(error.message);
    } finally {
      this.element.removeAttribute("aria-busy");
    }
  }

  async ask(signal) {
    const { source, env, step } = this.shared;
    const [of, places] = [this.frame, this.shared.head];
    const [layer, head] = places;
    const found = await source.ask("map", { env, step, layer, head }, signal);
    this.one = { ...found, of, head: places };
    this.draw();
    this.say();
  }

  draw() {
    this.picture.draw();
  }

  /** Tell what is under the cursor, if there is one. */
  say() {
    const shown = this.shown();
    if (!shown || shown.key < 0) return;
    const { about, frame, shades, key, query, seen } = shown;
    const maps = isMaps(this.frame);
    const n = frame.shape[frame.shape.length - 1];
    const weight = weightOf(shades[maps ? query * n + key : key]);
    const told = { step: frame.step, transition: transitionOf(about, frame, key * frame.unit), weight, of: "head", unit: frame.unit };
    if (told.transition < 0) told.packed = summaryWords(frame);
    if (maps) told.query = transitionOf(about, frame, Math.min(frame.length - 1, (query + 1) * frame.unit - 1));
    this.shared.tell({ ...told, seen: seen(query) });
  }

  /** Return the ages below the pointer; null outside. */
  place(event) {
    const shown = this.shown();
    if (!shown) return null;
    const area = this.picture.canvas.getBoundingClientRect();
    const box = this.picture.box(area.width);
    const n = shown.frame.shape[shown.frame.shape.length - 1];
    const key = Math.floor(((event.clientX - area.left - box.x) / box.w) * n);
    const query = Math.floor(((event.clientY - area.top - box.y) / box.h) * n);
    const maps = isMaps(this.frame);
    return key < 0 || key >= n || query < 0 || (maps && query >= n) ? null : this.ages(shown.frame, key, maps ? query : n - 1);
  }

  ages(frame, key, query) {
    const { about } = this.shared;
    const age = (bin) => ageOfSlot(about, frame.length, Math.min(frame.length - 1, bin * frame.unit));
    return { age: age(key), query: isMaps(this.frame) ? age(query) : 0 };
  }

  point(event) {
    this.shared.view.point(this.place(event));
  }

  /** Keep the cell that is clicked as part of the view. */
  pin(event) {
    const cursor = this.place(event);
    if (cursor) this.shared.view.change({ age: cursor.age });
  }

  /** Move the cursor by keys; the first puts it on the newest slot. */
  walk(event) {
    const move = ARROWS[event.key];
    const shown = move && this.shown();
    if (!shown) return;
    event.preventDefault();
    event.stopPropagation();
    const { frame, key, query } = shown;
    const n = frame.shape[frame.shape.length - 1];
    const inside = (value) => Math.min(n - 1, Math.max(0, value));
    const to = key < 0 ? [n - 1, n - 1] : [inside(key + move[1]), inside(query + move[0])];
    const cursor = this.ages(frame, ...to);
    this.shared.view.point(cursor);
    this.shared.view.change({ age: cursor.age });
  }

  /** Return what a reader may take along. */
  taken() {
    const { frame, picture } = this;
    if (!frame) return null;
    const { about, env } = this.shared;
    const [layer, head] = this.shared.head;
    const row = `.rows[${frame.entry}, ${env}, ${layer}, ${head}, :${frame.length}]`;
    const map = `.map(${frame.step}, layer=${layer}, head=${head}, env=${env})`;
    const name = `attention-step${frame.step}-layer${layer}-head${head}`;
    return { picture, python: about.python + (isMaps(frame) ? map : row), name };
  }
}
