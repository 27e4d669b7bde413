// The first or the next step at which the chosen head attends to a kind of transition, by at least so much.

import { h } from "../dom.js";
import { ABSENT, weightOf } from "../drawing/scale.js";
import { ageOfSlot, transitionOf } from "../context.js";
import { newest, Refused } from "../source.js";
import { stateWords } from "../words.js";

const SPAN = 512;
const KINDS = {
  rewarded: ["a rewarded transition", (one) => one.reward > 0],
  earlier: ["an earlier episode", (one, now) => now && one.episode !== null && one.episode < now.episode],
  end: ["an end of an episode", (one) => one.terminated > 0 || one.truncated > 0],
};

/** Return the transition of a kind that a column attends to most: its weight and slot; null where there is none. */
function most(about, frame, column, known, isOne) {
  const [, bins] = frame.shape;
  const summaries = frame.summaries ? frame.summaries[column] : 0;
  const context = { step: frame.steps[column], start: frame.starts[column], summaries };
  const now = known.get(context.step);
  let best = null;
  for (let slot = 0; slot < frame.lengths[column]; slot++) {
    const byte = frame.shades[column * bins + slot];
    if (byte === ABSENT || (best && byte <= best.byte)) continue;
    const one = known.get(transitionOf(about, context, slot));
    if (one && one !== now && isOne(one, now)) best = { byte, slot, one };
  }
  return best;
}

/** Finds steps by what the chosen head looks at. */
export class Seeking {
  constructor(shared, transitions) {
    Object.assign(this, { shared, transitions });
    const options = Object.entries(KINDS).map(([value, [name]]) => new Option(name, value));
    this.who = h("span");
    this.kind = h("select", { id: "seek-kind", "aria-label": "What the head looks at" }, ...options);
    this.times = h("input", { id: "seek-times", type: "number", min: 0, step: "any", value: 1, "aria-label": "Times uniform attention, at least" });
    const first = h("button", { id: "seek-first", type: "button", onclick: () => this.seek(0) }, "first step");
    const next = h("button", { id: "seek-next", type: "button", onclick: () => this.seek(shared.step + 1) }, "next step");
    this.told = h("span", { id: "seek-told", role: "status" });
    this.element = h("div", { class: "controls seeking" }, this.who, this.kind, h("span", {}, "at least"), this.times, h("span", {}, "× uniform attention:"), first, next, this.told);
    this.newest = newest((signal, from) => this.found(from, signal));
  }

  /** Name the chosen head; what was found, or is still looked for, of another head or environment is forgotten. */
  show() {
    this.who.textContent = `Head ${this.shared.headName} gives`;
    const of = [this.shared.env, ...this.shared.head].join(".");
    if (of === this.of) return;
    this.of = of;
    this.told.textContent = "";
    this.newest(null);
    this.element.removeAttribute("aria-busy");
  }

  async seek(from) {
    this.told.textContent = "searching …";
    this.element.setAttribute("aria-busy", "true");
    try {
      const found = await this.newest(from);
      if (found === undefined) return;
      if (!found) this.told.textContent = `No step${from ? ` from ${from} on` : ""} does.`;
      else this.tell(found);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.told.textContent = error.message;
    }
    this.element.removeAttribute("aria-busy");
  }

  tell({ step, length, byte, slot, one }) {
    const { about, view } = this.shared;
    const lift = (weightOf(byte) * length).toPrecision(2);
    this.told.textContent = `Step ${step}: transition ${one.transition}, state ${stateWords(one)}, ${lift} × uniform.`;
    view.change({ step, age: ageOfSlot(about, length, slot) }, true);
  }

  /** Return the first step that does, from one step on; null where none does. From null on nothing is looked for. */
  async found(from, signal) {
    const { about, env, news, source } = this.shared;
    const [layer, head] = this.shared.head;
    const [, isOne] = KINDS[this.kind.value];
    const times = Number(this.times.value);
    if (from === null) return undefined;
    for (let first = from; first < news.committed; ) {
      const frame = await source.ask("band", { env, first, last: Math.min(first + SPAN, news.committed), layer, head, fine: 1 }, signal);
      const told = await this.transitions.between(Math.min(first, ...frame.starts), frame.last);
      if (signal.aborted) return undefined;
      const known = new Map(told.map((one) => [one.transition, one]));
      for (const [column, step] of frame.steps.entries()) {
        const best = most(about, frame, column, known, isOne);
        if (best && weightOf(best.byte) * frame.lengths[column] >= times) return { ...best, step, length: frame.lengths[column] };
      }
      first = Math.max(frame.last, first + 1);
    }
    return null;
  }
}
