// Every head at one step: small pictures to choose from, in their own order or by a metric.

import { drawing, h, selecting } from "../dom.js";
import { colourBarAcross } from "../drawing/axes.js";
import { picture } from "../drawing/paint.js";
import { Picture } from "../drawing/picture.js";
import { topOf, weightOf } from "../drawing/scale.js";
import { seenBy } from "../context.js";
import { cut, isMaps, scaleOf } from "../frames.js";
import { Pane } from "../pane.js";
import { Focus } from "./focus.js";
import { Seeking } from "./seeking.js";

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const MOST_OFFERED = 24;
const SCALES = [["shared", "one for all heads"], ["own", "each its own"], ["lift", "÷ uniform attention"]];

class Ramp extends Picture {
  height() {
    return 52;
  }

  paint(pen, width, colours) {
    if (this.scale) colourBarAcross(pen, { x: 12, y: 4, w: Math.min(width, 420) - 34, h: 10 }, this.scale, colours);
  }
}

/** The small pictures of all heads. Its frame, rows or maps, is what the large picture shows too. */
export class Heads extends Pane {
  constructor(shared, transitions) {
    super(shared, "heads", "Heads");
    this.body.className = "split";
    const kinds = [["rows", "decision row"], ["maps", "whole map"]];
    const kind = selecting("Show", kinds, { "data-choice": "kind" });
    const scale = selecting("Scale", SCALES, { "data-choice": "scale" });
    this.bound("kind", kind.lastChild);
    this.bound("scale", scale.lastChild);
    this.controls.append(kind, scale);
    this.grid = h("div", { id: "heads", role: "radiogroup", "aria-label": "Layer and head (layer.head)" });
    this.grid.addEventListener("keydown", (event) => this.arrow(event));
    const ramp = drawing({ id: "ramp", "aria-label": "Colour scale of the heads" });
    this.ramp = new Ramp(ramp.firstChild);
    this.words = h("span", { id: "heads-words" });
    this.stored = h("div", { class: "controls", id: "stored", hidden: true });
    this.left = h("div", {}, this.grid, ramp, h("p", { class: "hint" }, "layer.head · ", this.words));
    this.body.before(this.stored);
    this.focus = new Focus(shared, this);
    this.seeking = new Seeking(shared, transitions);
    this.body.append(this.left, this.focus.element, this.seeking.element);
    this.maps = null;
    this.order = [];
  }

  /** Make a button of each head; called once something is committed. */
  build() {
    const { about, view } = this.shared;
    this.grid.style.gridTemplateColumns = `repeat(${about.heads.length}, minmax(0, 1fr))`;
    this.buttons = about.layers.flatMap((layer, row) => about.heads.map((head, column) => {
      const given = { type: "button", role: "radio", "aria-label": `layer ${layer}, head ${head}` };
      const choose = () => view.change({ layer: row, head: column }, true);
      return h("button", { ...given, onclick: choose }, h("canvas"), h("span", {}, `${layer}.${head}`));
    }));
    this.offer();
  }

  /** The frame that is shown: maps where they are asked for and there, else decision rows. */
  get frame() {
    return this.shared.values.kind === "maps" ? this.maps : this.shared.decision;
  }

  update(changed) {
    if (!this.buttons) this.build();
    const has = (...names) => names.some((name) => changed.has(name));
    const { values, step } = this.shared;
    for (const select of this.controls.querySelectorAll("[data-choice]")) select.value = values[select.dataset.choice];
    this.title.textContent = `Heads at step ${step}`;
    this.seeking.show();
    this.stored.hidden = this.shared.about.replays || values.kind !== "maps";
    const due = has("env", "step", "kind") || (has("news") && !this.maps);
    if (values.kind === "maps" && due) this.busy((signal) => this.ask(signal));
    if (values.kind === "rows" && has("decision", "kind")) {
      this.newest(() => null); // a map that is still asked for is not wanted any more
      this.refuse(this.shared.why);
      this.say();
      if (has("decision")) this.mark();
    }
    if (has("decision", "metrics", "layer", "head", "kind", "scale", "sort")) this.drawGrid();
    this.focus.update(changed);
  }

  async ask(signal) {
    const { source, env, step } = this.shared;
    try {
      this.maps = await source.ask("heads", { env, step, kind: "maps" }, signal);
      this.refuse("");
    } catch (error) {
      if (error.name !== "AbortError") this.maps = null;
      throw error;
    } finally {
      if (!signal.aborted) this.shared.view.tell(new Set(["maps"]));
    }
    this.say();
    this.drawGrid();
  }

  say() {
    const { frame } = this;
    if (!frame) return void (this.words.textContent = "");
    const where = isMaps(frame) ? `, ${frame.source}` : "";
    const other = frame.step === this.shared.step ? "" : `; the row of step ${frame.step}, the last stored one before`;
    this.words.textContent = `${frame.length} tokens${where}${other}`;
  }

  draw() {
    this.drawGrid();
    this.focus.draw();
  }

  drawGrid() {
    if (!this.buttons) return;
    const { about, values, metrics } = this.shared;
    const [layer, head] = this.shared.head;
    const chosen = layer * about.heads.length + head;
    const sorted = metrics && metrics.names.includes(values.sort) ? metrics.values[metrics.names.indexOf(values.sort)].flat() : null;
    this.arrange(sorted);
    this.grid.classList.toggle("maps", values.kind === "maps");
    this.buttons.forEach((button, place) => {
      button.setAttribute("aria-checked", String(place === chosen));
      button.tabIndex = place === chosen ? 0 : -1;
      const name = `${about.layers[Math.floor(place / about.heads.length)]}.${about.heads[place % about.heads.length]}`;
      button.lastChild.textContent = sorted && sorted[place] !== null ? `${name} · ${Number(sorted[place].toPrecision(2))}` : name;
      this.thumbnail(button, place);
    });
    const { frame } = this;
    this.ramp.scale = frame && scaleOf(values, frame, cut(about, frame, layer, head));
    this.ramp.draw();
  }

  /** Order the small pictures by a metric, largest first; without one as layers and heads stand. */
  arrange(sorted) {
    const places = this.buttons.map((_, place) => place);
    if (sorted) places.sort((one, other) => (sorted[other] ?? -Infinity) - (sorted[one] ?? -Infinity));
    if (String(places) === String(this.order)) return;
    const focused = this.grid.getRootNode().activeElement;
    this.order = places;
    this.grid.replaceChildren(...places.map((place) => this.buttons[place]));
    if (this.buttons.includes(focused)) focused.focus();
  }

  thumbnail(button, place) {
    const { about, values } = this.shared;
    const { frame } = this;
    const canvas = button.firstChild;
    const maps = values.kind === "maps";
    const n = frame ? frame.shape[frame.shape.length - 1] : 1;
    Object.assign(canvas, { width: n, height: maps ? n : 1 });
    if (!frame) return;
    const shades = cut(about, frame, Math.floor(place / about.heads.length), place % about.heads.length);
    const scale = scaleOf(values, frame, shades);
    button.title = `${button.getAttribute("aria-label")}: largest weight ${weightOf(topOf(shades)).toPrecision(2)}`;
    const seen = maps ? (_, query) => seenBy(about, frame, query) : () => frame.length;
    canvas.getContext("2d").drawImage(picture(shades, n, maps ? n : 1, scale, seen), 0, 0);
  }

  /** Move the choice among the pictures, as they stand. */
  arrow(event) {
    const move = ARROWS[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    const { about, view } = this.shared;
    const wide = about.heads.length;
    const [layer, head] = this.shared.head;
    const at = this.order.indexOf(layer * wide + head);
    const row = (Math.floor(at / wide) + move[0] + about.layers.length) % about.layers.length;
    const place = this.order[row * wide + ((at % wide) + move[1] + wide) % wide];
    view.change({ layer: Math.floor(place / wide), head: place % wide });
    this.buttons[place].focus();
  }

  /** Offer the steps whose maps are stored, where nothing can replay the others. */
  offer() {
    const { mapSteps } = this.shared.about;
    const steps = mapSteps.slice(0, MOST_OFFERED).map((one) => (
      h("button", { type: "button", onclick: () => this.shared.go(one, true) }, String(one))
    ));
    this.stored.replaceChildren(h("span", {}, mapSteps.length ? "Stored maps: step" : "No map is stored."), ...steps);
  }
}
