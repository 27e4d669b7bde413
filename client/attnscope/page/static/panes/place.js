// The step: the transition under the cursor in words, and where it stands on the environment's grid.

import { drawing, h } from "../dom.js";
import { weightOf } from "../drawing/scale.js";
import { slotOfAge, summaryWords, transitionOf } from "../context.js";
import { cut } from "../frames.js";
import { Pane } from "../pane.js";
import { Taking } from "../taking.js";
import { actionWords, number, stateWords } from "../words.js";
import { cellsOf, RoomPicture } from "./room.js";

/** Return the weights of the decision row: of one head, or the mean over all. */
export function weightsOf(about, frame, head) {
  if (head) return Array.from(cut(about, frame, ...head), weightOf);
  const n = frame.shape[frame.shape.length - 1];
  const heads = frame.shades.length / n;
  const found = new Array(n).fill(0);
  frame.shades.forEach((byte, at) => (found[at % n] += weightOf(byte) / heads));
  return found;
}

/** The pane of one step. */
export class Place extends Pane {
  constructor(shared, transitions) {
    super(shared, "place", "Transition");
    this.transitions = transitions;
    const plot = drawing({ id: "room", "aria-label": "The environment's grid", "aria-describedby": "room-words" });
    this.picture = new RoomPicture(plot.firstChild);
    this.table = h("dl", { id: "fields", "aria-live": "polite" });
    this.words = h("p", { class: "hint", id: "room-words" });
    this.taking = new Taking(() => this.picture.shown && { picture: this.picture, python: this.python(), name: `room-step${this.shared.step}` });
    this.side = h("div", {}, plot, this.words, this.taking.element);
    this.body.className = "beside";
    this.body.append(this.table, this.side);
    this.rooms = new Map();
  }

  /** Return the line that gives the states of the context's transitions, whose cells are drawn. */
  python() {
    const { about, decision, env, step } = this.shared;
    const first = decision ? Math.min(decision.start, step) : step;
    return `${about.python}.rollout.observation[${first}:${step + 1}, ${about.entries[env]}]`;
  }

  update(changed) {
    const has = (...names) => names.some((name) => changed.has(name));
    if (has("decision", "cursor", "age", "layer", "head", "by")) this.busy((signal) => this.show(signal));
  }

  draw() {
    this.picture.draw();
  }

  /** Return the slot under the cursor; the query's own where there is no cursor. */
  slot(frame) {
    const { about, view, values } = this.shared;
    const age = view.cursor ? view.cursor.age : Math.max(0, values.age);
    const slot = slotOfAge(about, frame.length, age);
    return slot < 0 ? slotOfAge(about, frame.length, 0) : slot;
  }

  async show(signal) {
    const { about, decision, step, values } = this.shared;
    const head = values.by === "head" ? this.shared.head : null;
    const episode = step - (about.horizon || 0);
    const first = Math.max(0, decision ? Math.min(decision.start, episode) : episode);
    const steps = await this.transitions.between(first, step + 1);
    if (signal.aborted) return;
    const weights = decision && decision.step === step ? weightsOf(about, decision, head) : [];
    const one = weightsOf(about, decision || { shape: [0], shades: [] }, decision ? this.shared.head : null);
    const slot = weights.length ? this.slot(decision) : -1;
    const at = slot < 0 ? step : transitionOf(about, decision, slot);
    const found = steps.find((other) => other.transition === at) || null;
    const name = at < 0 ? `a latent, ${summaryWords(decision)}` : `transition ${at}`;
    this.title.textContent = at === step ? `Step ${step}: the query` : `Step ${step}: ${name}`;
    this.fill(found, at, slot < 0 ? null : [weights[slot], one[slot]], slot < 0 ? null : this.most(one, steps));
    await this.place(steps, weights, found);
  }

  /** Return the transition to which the chosen head attends most, in words. */
  most(weights, steps) {
    const { about, decision } = this.shared;
    const slot = weights.reduce((best, weight, at) => (weight > (weights[best] || 0) ? at : best), 0);
    const at = transitionOf(about, decision, slot);
    const state = steps.find((other) => other.transition === at);
    if (at < 0) return `a latent: ${weights[slot].toPrecision(2)}`;
    const more = weights.filter((weight) => weight === weights[slot]).length - 1;
    const others = more ? `; ${more} more with the same byte` : "";
    return `transition ${at}${state ? `, state ${stateWords(state)}` : ""}: ${weights[slot].toPrecision(2)}${others}`;
  }

  fill(found, at, weights, most) {
    const { about, step, decision } = this.shared;
    const rows = [["transition", at === step ? `${at}, the query itself` : `${at}, ${step - at} before the query`]];
    if (at < 0) rows[0] = ["latent", summaryWords(decision)];
    if (found && found.episode !== null) {
      const within = found.within === null ? "" : `, its step ${found.within}`;
      rows.push(["episode", `${found.episode}${within}${about.horizon ? ` of ${about.horizon}` : ""}`]);
    }
    if (found && found.return !== null) rows.push(["its return", number(found.return)]);
    if (found) rows.push(["state", stateWords(found)]);
    if (found) rows.push(["action", `${actionWords(found)}${at === step ? ", decided here" : ""}`], ["reward", number(found.reward)]);
    if (found && (found.terminated > 0 || found.truncated > 0)) rows.push(["end", found.terminated > 0 ? "the episode ends" : "the episode is cut off"]);
    const said = (weight) => (Number.isNaN(weight) ? "masked" : `${weight.toPrecision(2)}, ${(weight * decision.length).toPrecision(2)} × uniform`);
    if (weights) rows.push([`head ${this.shared.headName}`, said(weights[1])]);
    if (weights) rows.push([`most of ${this.shared.headName}`, most]);
    if (weights && this.shared.values.by === "mean") rows.push(["all heads, mean", said(weights[0])]);
    this.table.replaceChildren(...rows.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
  }

  /** Draw the grid, where the states are cells; else say why there is none. */
  async place(steps, weights, found) {
    const { about, decision, env, source, step, values } = this.shared;
    const key = `${env}.${this.shared.news.committed}`; // the borders may be those of the visited cells
    if (!this.rooms.has(key)) this.rooms.set(key, await source.ask("room", { env }));
    const room = this.rooms.get(key);
    this.side.hidden = !room.low;
    if (!room.low) return this.refuse(room.why);
    this.refuse("");
    const known = new Map(steps.map((one) => [one.transition, one]));
    const history = weights.map((_, slot) => known.get(transitionOf(about, decision, slot)));
    const now = steps[steps.length - 1];
    const path = steps.filter((one) => now && one.episode === now.episode).map((one) => one.observation);
    const cells = cellsOf(history.map((one) => one && one.observation), weights);
    this.picture.shown = { room, cells, path, agent: now && now.observation, cell: found && found.observation };
    const who = values.by === "head" ? `head ${this.shared.headName}` : "all heads on average";
    const marks = room.marks.map((mark) => `${mark.name} (${mark.at.join(", ")})`).join(", ");
    this.words.textContent =
      `Cells by attention of ${who} at step ${step}, summed over the transitions of the context. ` +
      `Line: this episode; dot: the agent${marks ? `; green: ${marks}` : ""}; framed: the cursor's state.` +
      `${room.known ? "" : " The room is drawn as far as it was visited."}`;
    this.draw();
  }
}
