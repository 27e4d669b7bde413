// The latents of a decision's context: what each packs, down to transitions, and which are dead or doubles.

import { drawing, h, selecting } from "../dom.js";
import { across, colourBar, line, ticks, upright } from "../drawing/axes.js";
import { hatch, picture, put } from "../drawing/paint.js";
import { Picture } from "../drawing/picture.js";
import { topOf, weightOf, WeightScale } from "../drawing/scale.js";
import { Pane } from "../pane.js";
import { Taking } from "../taking.js";
import { stateWords } from "../words.js";
import { weightsOf } from "./place.js";

const SIDES = { left: 58, right: 82, top: 8, below: 44 };
const [LEAST, MOST] = [110, 320];
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const times = (value) => `${Number(value.toPrecision(2))} ×`;

/** The map of latents by transitions, or by sources. */
class Packed extends Picture {
  box(width) {
    const high = this.found ? Math.min(MOST, Math.max(LEAST, 14 * this.found.shape[0])) : LEAST;
    return { x: SIDES.left, y: SIDES.top, w: Math.max(40, width - SIDES.left - SIDES.right), h: high };
  }

  height(width) {
    return SIDES.top + this.box(width).h + SIDES.below;
  }

  paint(pen, width, colours) {
    const box = this.box(width);
    hatch(pen, box, colours);
    const { found, column, latent } = this;
    if (!found || !found.shape[1]) return;
    const [count, columns] = found.shape;
    const scale = Object.assign(new WeightScale(topOf(found.shades)), { short: "share" });
    put(pen, picture(found.shades, columns, count, scale), box);
    const at = (place) => box.x + (place / found.unit / columns) * box.w;
    const tall = box.h / count;
    pen.strokeStyle = colours.mark;
    for (const edge of found.shows === "looked" ? [found.older] : found.begins) line(pen, at(edge), box.y, at(edge), box.y + box.h);
    const words = found.shows === "traced" ? "transition" : found.older ? `source: 0–${found.older - 1} are the latents of before` : "source";
    across(pen, box, ticks(0, columns * found.unit - 1, box.w / 90, true), (place) => at(place + 0.5), words, colours);
    upright(pen, box, ticks(0, count - 1, 5, true), (one) => box.y + (one + 0.5) * tall, "latent", colours);
    colourBar(pen, box, scale, colours);
    pen.strokeStyle = colours.cursor;
    pen.lineWidth = 2;
    pen.strokeRect(box.x, box.y + latent * tall, box.w, tall);
    if (column >= 0) pen.strokeRect(at(column * found.unit) - 1, box.y, Math.max(2, box.w / columns) + 2, box.h);
  }
}

/** The pane of latents, of policies that pack their history. */
export class Latents extends Pane {
  constructor(shared, transitions) {
    super(shared, "latents", "Latents");
    this.transitions = transitions;
    const shows = selecting("Show", [["traced", "transitions packed"], ["looked", "the last compression"]], { "data-choice": "shows" });
    this.choice = this.bound("shows", shows.lastChild);
    this.controls.append(shows);
    this.plot = drawing({ id: "latents", tabindex: 0, "aria-label": "What each latent packs", "aria-describedby": "latents-words" });
    this.picture = Object.assign(new Packed(this.plot.firstChild), { found: null, column: -1, latent: 0 });
    this.words = h("p", { class: "hint", id: "latents-words" });
    this.rows = h("tbody");
    const head = ["latent", "90 % within", "most of: share", "here ÷ uniform", "in the run ÷ uniform", ""].map((name) => h("th", { scope: "col" }, name));
    this.table = h("div", { class: "wide", tabindex: 0, role: "group", "aria-label": "Table of the latents" }, h("table", { id: "latents-table" }, h("thead", {}, h("tr", {}, ...head)), this.rows));
    this.taking = new Taking(() => this.taken());
    this.body.append(this.plot, this.taking.element, this.words, this.table);
    const canvas = this.plot.firstChild;
    canvas.addEventListener("pointermove", (event) => this.point(event));
    canvas.addEventListener("click", () => this.shared.view.change({ latent: this.picture.latent }));
    canvas.addEventListener("pointerleave", () => this.move(this.shared.values.latent, -1));
    canvas.addEventListener("keydown", (event) => this.walk(event));
  }

  update(changed) {
    const has = (...names) => names.some((name) => changed.has(name));
    this.choice.value = this.shared.values.shows;
    if (has("decision", "shows", "news")) this.busy((signal) => this.ask(signal));
    if (has("latent", "layer", "head", "by")) this.show();
  }

  async ask(signal) {
    const { decision, env, step, source, values } = this.shared;
    const asked = { env, step: decision ? decision.step : step, shows: values.shows };
    try {
      const found = await source.ask("latents", asked, signal);
      if (signal.aborted) return;
      this.picture.found = found.number === null ? null : found;
      this.refuse(found.lacks);
    } catch (error) {
      if (error.name !== "AbortError") this.picture.found = null;
      this.show();
      throw error;
    }
    this.show();
  }

  /** Show what was found: its table, its words and the picture. */
  show() {
    const { decision, values, step } = this.shared;
    const { found } = this.picture;
    this.title.textContent = found ? `Latents of compression ${found.number + 1}, after step ${found.after}` : "Latents";
    this.plot.hidden = this.taking.element.hidden = !found || !found.shape[1];
    this.table.hidden = this.words.hidden = !found;
    if (!found) return;
    const inside = decision && decision.summaries > 0;
    const weights = inside ? weightsOf(this.shared.about, decision, values.by === "head" ? this.shared.head : null) : null;
    this.picture.latent = Math.min(values.latent, found.shape[0] - 1);
    this.rows.replaceChildren(...Array.from({ length: found.shape[0] }, (_, latent) => this.row(latent, weights)));
    const lone = decision && !inside ? `The query stands alone at step ${step}: it sees these latents from the next step on. ` : "";
    const few = found.constant === null ? " Constant and double latents are told from 8 histories on." : "";
    this.words.textContent = `${lone}They stand for transitions 0–${found.last}; ${found.first}–${found.last} were packed last${found.older ? `, with ${found.older} latents of before` : ""}. Shares are attention, mean over the compressor's layers and heads: where was looked, not what was taken. ${found.shows === "looked" ? "The table traces" : "They are traced"} through all generations.${few}`;
    this.draw();
  }

  row(latent, weights) {
    const { found } = this.picture;
    const { decision, view } = this.shared;
    const [low, high, most, share] = found.spans ? found.spans[latent] : [];
    const doubles = (found.doubles || []).filter((pair) => pair.includes(latent)).flat().filter((one) => one !== latent);
    const notes = [found.dead.includes(latent) && "dead", (found.constant || []).includes(latent) && "constant", doubles.length && `double of ${doubles.join(", ")}`];
    const choose = () => view.change({ latent }, true);
    const chosen = latent === this.picture.latent;
    const cells = [
      found.spans ? `${low}–${high}` : "–",
      found.spans ? `${most}: ${share}` : "–",
      weights ? times(weights[latent] * decision.length) : "–",
      found.use ? `${times(found.use[0][latent])}, head with most ${times(found.use[1][latent])}` : "–",
      notes.filter(Boolean).join("; "),
    ];
    const name = h("button", { type: "button", onclick: choose, "aria-pressed": String(chosen) }, String(latent));
    return h("tr", { class: chosen ? "chosen" : false }, h("th", { scope: "row" }, name), ...cells.map((text) => h("td", {}, text)));
  }

  draw() {
    this.picture.draw();
  }

  point(event) {
    const { canvas, found } = this.picture;
    if (!found) return;
    const area = canvas.getBoundingClientRect();
    const box = this.picture.box(area.width);
    const [count, columns] = found.shape;
    const column = Math.floor(((event.clientX - area.left - box.x) / box.w) * columns);
    const latent = Math.floor(((event.clientY - area.top - box.y) / box.h) * count);
    if (column >= 0 && column < columns && latent >= 0 && latent < count) this.move(latent, column);
  }

  walk(event) {
    const { column, found, latent } = this.picture;
    const by = ARROWS[event.key];
    if (!by || !found) return;
    event.preventDefault();
    event.stopPropagation();
    const inside = (value, size) => Math.min(size - 1, Math.max(0, value));
    this.move(inside(latent + by[0], found.shape[0]), column < 0 ? found.shape[1] - 1 : inside(column + by[1], found.shape[1]));
    this.shared.view.change({ latent: this.picture.latent });
  }

  /** Put the cursor on a latent and a column, and tell what is there. */
  async move(latent, column) {
    const { found } = this.picture;
    if (!found) return;
    Object.assign(this.picture, { latent, column });
    this.draw();
    if (column < 0) return;
    const [first, share] = [column * found.unit, weightOf(found.shades[latent * found.shape[1] + column]).toPrecision(2)];
    const end = found.unit > 1 ? `–${first + found.unit - 1}` : "";
    const state = found.shows === "traced" && !end ? await this.transitions.at(first) : null;
    const seen = state && state.observation !== null ? `, state ${stateWords(state)}` : "";
    if (this.picture.column === column) this.shared.tell(`Latent ${latent} of compression ${found.number + 1}: share ${share} on ${found.shows === "traced" ? "transition" : "source"} ${first}${end}${seen}.`);
  }

  taken() {
    const { found } = this.picture;
    if (!found) return null;
    const { about, env } = this.shared;
    const python = found.shows === "looked" ? `${about.python}.compressions(${env}).looked(${found.number}).mean((0, 1))` : `attnscope.study.latents.LatentStudy(${about.python}, ${env}).reached[${found.number}]`;
    return { picture: this.picture, python, name: `latents-compression${found.number + 1}` };
  }
}
