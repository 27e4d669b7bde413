// Influence beside attention: the loss of the decision without each transition, computed when it is asked for.

import { drawing, h } from "../dom.js";
import { across, line, ticks, upright } from "../drawing/axes.js";
import { hatch } from "../drawing/paint.js";
import { Picture } from "../drawing/picture.js";
import { Pane } from "../pane.js";
import { Taking } from "../taking.js";

const SIDES = { left: 76, right: 24, top: 10, gap: 14, high: 96, below: 44 };
const SECOND_MS = 1000;

class Bars extends Picture {
  height() {
    return SIDES.top + 2 * SIDES.high + SIDES.gap + SIDES.below;
  }

  paint(pen, width, colours) {
    const w = Math.max(40, width - SIDES.left - SIDES.right);
    const above = { x: SIDES.left, y: SIDES.top, w, h: SIDES.high };
    const below = { ...above, y: SIDES.top + SIDES.high + SIDES.gap };
    if (!this.found) {
      hatch(pen, above, colours);
      return void hatch(pen, below, colours);
    }
    const { attention, lost, start, unit } = this.found;
    const bar = w / lost.length;
    this.bars(pen, above, attention, "attention, share", colours.accent, colours);
    this.bars(pen, below, lost, `influence, ${unit || "nats"}`, colours.reward, colours);
    const names = ticks(start, start + lost.length - 1, w / 90, true);
    across(pen, below, names, (name) => above.x + (name - start + 0.5) * bar, "transition left out", colours);
    if (this.cursor === null) return;
    pen.strokeStyle = colours.cursor;
    pen.lineWidth = 2;
    pen.strokeRect(above.x + (this.cursor - start) * bar - 1, above.y, Math.max(bar, 2) + 2, below.y + below.h - above.y);
  }

  bars(pen, box, values, title, colour, colours) {
    const most = Math.max(1e-12, ...values);
    const up = (value) => box.y + box.h * (1 - value / most);
    const bar = box.w / values.length;
    pen.fillStyle = colour;
    values.forEach((value, at) => pen.fillRect(box.x + at * bar, up(value), Math.max(1, bar - (bar > 4 ? 1 : 0)), box.y + box.h - up(value)));
    pen.strokeStyle = colours.line;
    pen.lineWidth = 1;
    line(pen, box.x, box.y + box.h, box.x + box.w, box.y + box.h);
    upright(pen, box, ticks(0, most, 3), up, title, colours);
  }
}

/** The pane of influence; what it asks for may take seconds, so it waits for a click. */
export class Influence extends Pane {
  constructor(shared) {
    super(shared, "influence", "Influence beside attention");
    this.start = h("button", { id: "influence-ask", type: "button", onclick: () => this.pressed() }, "compute at this step");
    this.state = h("span", { id: "influence-state", role: "status" });
    this.controls.append(this.state, this.start);
    const plot = (this.plot = drawing({ id: "influence", tabindex: 0, "aria-label": "Attention and influence of each transition", "aria-describedby": "influence-words" }));
    this.picture = new Bars(plot.firstChild);
    this.picture.cursor = null;
    this.words = h("p", { class: "hint", id: "influence-words" });
    this.taking = new Taking(() => this.taken());
    this.body.append(plot, this.words, this.taking.element);
    this.known = new Map();
    this.running = null;
    plot.firstChild.addEventListener("pointermove", (event) => this.point(event));
    plot.firstChild.addEventListener("pointerleave", () => this.shared.view.point(null));
  }

  get key() {
    const { env, step, values } = this.shared;
    return [env, step, ...(values.by === "head" ? this.shared.head : [])].join(".");
  }

  update(changed) {
    const has = (...names) => names.some((name) => changed.has(name));
    if (has("env", "step", "layer", "head", "by", "news", "decision")) this.show();
    if (has("cursor", "age")) this.draw();
  }

  /** Show what is known of the step; what runs for another one is not waited for any more. */
  show() {
    const found = this.known.get(this.key) || null;
    const running = this.running === this.key;
    if (!running && this.running !== null) {
      this.running = null;
      this.newest(() => null);
    }
    if (this.refused !== this.key) this.refuse("");
    this.picture.found = found;
    this.element.classList.toggle("empty", !found); // paper shows no empty frames
    const { about, env, step } = this.shared;
    const held = this.held.some((one) => one.env === env && one.step === step);
    this.plot.hidden = this.taking.element.hidden = !about.replays && !held;
    this.start.hidden = !about.replays && (held || !this.held.length);
    this.start.disabled = about.replays && (Boolean(found) || running || step < 1);
    if (!about.replays && this.held.length) this.start.textContent = `go to step ${this.held[0].step}`;
    if (held && !found && !running && this.refused !== this.key) this.compute();
    if (!running) this.state.textContent = found && about.replays ? `done, ${found.seconds.toFixed(1)} s` : "";
    this.words.textContent = found ? this.story(found) : this.hint();
    this.draw();
  }

  /** The steps whose influence a file holds. */
  get held() {
    return this.shared.about.influence || [];
  }

  pressed() {
    if (this.shared.about.replays) this.compute();
    else this.shared.view.change(this.held[0], true);
  }

  hint() {
    if (this.held.length) return `This file holds the influence at one step alone, step ${this.held[0].step}. The service computes that of any step: open the job.`;
    if (this.shared.about.noInfluence) return this.shared.about.noInfluence;
    if (!this.shared.about.replays) return "Influence is computed by the service from the checkpoint: open the job instead of the folder.";
    if (this.shared.step < 1) return "The first decision has no transition before it.";
    return "KL divergence of the decision with all transitions from the decision without one of them, for each in turn; for action vectors their distance. The service computes it from the checkpoint.";
  }

  story({ agreement, lost, start, unit }) {
    const most = lost.indexOf(Math.max(...lost));
    const rank = agreement === null ? "not defined, one of them does not vary" : agreement.toFixed(2);
    const who = this.shared.values.by === "head" ? `head ${this.shared.headName}` : "all heads on average";
    return `Largest loss: ${lost[most].toPrecision(2)} ${unit || "nats"} without transition ${start + most}. Rank correlation of influence with attention of ${who}: ${rank}, over ${lost.length} transitions. Attention is a transition's share of all that is not on the query.`;
  }

  draw() {
    const { values, view, step } = this.shared;
    const { found } = this.picture;
    const age = view.cursor ? view.cursor.age : values.age;
    const at = step - Math.ceil(age / this.shared.about.tokens);
    this.picture.cursor = found && age > 0 && at >= found.start && at < step ? at : null;
    this.picture.draw();
  }

  async compute() {
    const { env, source, step, values } = this.shared;
    const key = (this.running = this.key);
    const asked = { env, step };
    if (values.by === "head") [asked.layer, asked.head] = this.shared.head;
    const begun = performance.now();
    const seconds = () => Math.round((performance.now() - begun) / 1000);
    this.state.textContent = this.shared.about.replays ? "asked the service" : "";
    const clock = setInterval(() => (this.state.textContent = `running, ${seconds()} s`), SECOND_MS);
    this.refused = null;
    this.start.disabled = true;
    const done = await this.busy(async (signal) => {
      const found = await source.ask("influence", asked, signal);
      this.known.set(key, { ...found, seconds: (performance.now() - begun) / 1000 });
    });
    clearInterval(clock);
    if (this.running !== key) return;
    this.running = null;
    if (!done) this.refused = key;
    this.show();
    if (!done) this.state.textContent = "refused";
  }

  point(event) {
    const { found } = this.picture;
    if (!found) return;
    const area = this.picture.canvas.getBoundingClientRect();
    const share = (event.clientX - area.left - SIDES.left) / (area.width - SIDES.left - SIDES.right);
    const at = found.start + Math.floor(share * found.lost.length);
    const { about, step, view } = this.shared;
    view.point(share < 0 || share >= 1 ? null : { age: (step - at) * about.tokens, query: 0 });
  }

  taken() {
    if (!this.picture.found) return null;
    const { about, env, step } = this.shared;
    return { picture: this.picture, python: `${about.python}.leave_one_out(${step}, env=${env})`, name: `influence-step${step}` };
  }
}
