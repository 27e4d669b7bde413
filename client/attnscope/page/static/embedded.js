// Bytes in the document as a source of answers: what a report holds of each environment, unpacked when it is asked for.

import { cut } from "./frames.js";
import { frameOf, Refused } from "./source.js";
import { rankCorrelation, sharesOf, statisticsOf } from "./statistics.js";

const NOT_HERE = "This file does not hold that. The live page has it: attnscope open.";

/** Return the bytes of a text that was deflated and written in base64. */
async function inflated(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

const size = (shape) => shape.reduce((product, one) => product * one, 1);

/** One environment: frames that follow each other in one array of bytes. */
class Held {
  constructor({ shades, ...told }) {
    Object.assign(this, told);
    let at = 0;
    const take = (frame) => {
      frame.shades = shades.subarray(at, (at += size(frame.shape)));
      return frame;
    };
    take(this.band);
    take(this.rows);
    this.maps.forEach(take);
    this.latents.forEach(take);
  }

  /** Return the overview of the steps from `first` to before `last`, of the mean over heads or of one head. */
  bandOf({ first, last, layer, head }) {
    const frame = layer === undefined ? this.band : this.headBand(layer, head);
    const inside = frame.steps.map((step, column) => (step >= first && step < last ? column : -1)).filter((column) => column >= 0);
    const [, bins] = frame.shape;
    const pick = (all) => all && inside.map((column) => all[column]);
    const shades = new Uint8Array(inside.length * bins);
    inside.forEach((column, place) => shades.set(frame.shades.subarray(column * bins, (column + 1) * bins), place * bins));
    const cut = { steps: pick(frame.steps), lengths: pick(frame.lengths), starts: pick(frame.starts), rewards: pick(frame.rewards), summaries: pick(frame.summaries) };
    const within = ([step]) => step >= first && step < last;
    const { boundaries, returns, episodes } = this.band;
    const told = { first, last: Math.min(last, this.band.last), unit: frame.unit, every: frame.every, episodes };
    const events = { boundaries: boundaries.filter((step) => step > first && step < last), returns: returns.filter(within) };
    return { ...told, ...cut, ...events, entries: this.entriesOf(frame, inside), shape: [inside.length, bins], shades };
  }

  /** Return the stored rows that columns are: the first, the one past the last, and their distance. */
  entriesOf(frame, inside) {
    const [start, stop, every] = frame.entries;
    if (!inside.length) return [start, start, every];
    return [start + inside[0] * every, Math.min(stop, start + (inside[inside.length - 1] + 1) * every), every];
  }

  /** Return one head's decision rows of all steps that are held. */
  headBand(layer, head) {
    const [rows, layers, heads, slots] = this.rows.shape;
    const shades = new Uint8Array(rows * slots);
    for (let row = 0; row < rows; row++) {
      const from = ((row * layers + layer) * heads + head) * slots;
      shades.set(this.rows.shades.subarray(from, from + slots), row * slots);
    }
    return { ...this.rows, shape: [rows, slots], unit: 1, shades };
  }

  /** Return the decision rows of a step; of a step that has none here, those of the last one before that has. */
  rowsAt(step) {
    const row = this.rows.steps.findLastIndex((one) => one <= step);
    if (row < 0) throw new Refused(`This file holds no decision row up to step ${step}.`, 404);
    const [, layers, heads, slots] = this.rows.shape;
    const context = this.rows.contexts[row];
    const [cells, n] = [layers * heads, context.length];
    const shades = new Uint8Array(cells * n);
    for (let cell = 0; cell < cells; cell++) {
      const from = (row * cells + cell) * slots;
      shades.set(this.rows.shades.subarray(from, from + n), cell * n);
    }
    return { ...context, unit: 1, source: "stored", shape: [layers, heads, n], shades };
  }

  mapsAt(step) {
    const found = this.maps.find((one) => one.step === step);
    if (found) return found;
    const held = this.maps.map((one) => one.step).join(", ");
    throw new Refused(held ? `This file holds no map of step ${step} of this environment; it holds those of ${held}.` : this.noMaps, 404);
  }

  /** Return the map of one head, as finely as it is held. */
  mapAt(step, layer, head) {
    const whole = this.mapsAt(step);
    const [, heads, n] = whole.shape;
    const from = (layer * heads + head) * n * n;
    return { ...whole, shape: [n, n], shades: whole.shades.subarray(from, from + n * n) };
  }

  /** Return the metrics of every head: means over the run as they were stored, those of a step from its row. */
  metricsOf(about, { step, over }) {
    if (!this.metrics) throw new Refused(this.noMetrics, 404);
    if (over === "run") return this.metrics.run;
    const { names, units, windows, words } = this.metrics;
    const frame = this.rowsAt(step);
    const found = about.layers.map((_, layer) => about.heads.map((__, head) => statisticsOf(about, cut(about, frame, layer, head), windows)));
    const values = names.map((name) => found.map((row) => row.map((one) => one[name])));
    return { names, units, values, words: `${words} All are of the decision row at step ${frame.step}, from the bytes that are drawn: about two digits.` };
  }

  /** Return influence beside the attention of the mean over heads, or of one head. */
  /** Return the latents that a decision could see, where those of its newest compression are held. */
  latentsAt({ step, shows }) {
    const all = this.latents.filter((one) => one.shows === shows);
    const found = all.findLast((one) => one.after < step);
    if (!found) return { number: null, lacks: this.noLatents };
    const generation = this.generationAt(step);
    if (generation === null || generation === found.number + 1) return found;
    const held = all.map((one) => one.number + 1).join(", ");
    throw new Refused(`This file holds the latents of compressions ${held}, not those of compression ${generation}.`, 404);
  }

  /** Return how many compressions came before the decision of a step that is held; null where that is not known. */
  generationAt(step) {
    const row = this.rows.steps.findLastIndex((one) => one <= step);
    return row < 0 ? null : this.rows.contexts[row].generation;
  }

  influenceOf(about, { step, layer, head }) {
    const found = this.influence.find((one) => one.step === step);
    if (!found) throw new Refused(NOT_HERE, 404);
    if (layer === undefined) return found;
    const attention = sharesOf(about, cut(about, this.rowsAt(step), layer, head));
    return { ...found, attention, agreement: rankCorrelation(attention, found.lost) };
  }

  transitions({ first, last }) {
    if (this.rollout === null) throw new Refused("This file leaves the transitions out, to stay small.", 404);
    const cut = ([name, all]) => [name, Array.isArray(all) ? all.slice(first, last) : all];
    return { ...Object.fromEntries(Object.entries(this.rollout).map(cut)), first, last };
  }
}

/** A capture within the document; nothing new ever comes. */
export class EmbeddedSource {
  /** `content` is what the report's writer embedded: answers, and one packed text an environment. */
  constructor(content) {
    this.content = content;
    this.still = true;
    this.held = new Map();
  }

  /** Return an environment, unpacked once. */
  env(place) {
    if (!this.content.envs[place]) throw new Refused(`This file does not hold environment ${place}.`, 404);
    if (!this.held.has(place)) this.held.set(place, inflated(this.content.envs[place]).then((bytes) => new Held(frameOf(bytes))));
    return this.held.get(place);
  }

  /** Return the answer to a question; those that no file can answer are refused. */
  async ask(question, asked = {}, signal = undefined) {
    const answer = await this.answer(question, asked);
    if (signal && signal.aborted) throw new DOMException("a newer question was asked", "AbortError");
    return answer;
  }

  async answer(question, asked) {
    const { answers } = this.content;
    if (question in answers) return answers[question];
    const env = await this.env(asked.env);
    if (question === "band") return env.bandOf(asked);
    if (question === "heads") return asked.kind === "maps" ? env.mapsAt(asked.step) : env.rowsAt(asked.step);
    if (question === "map") return env.mapAt(asked.step, asked.layer, asked.head);
    if (question === "rollout") return env.transitions(asked);
    if (question === "metrics") return env.metricsOf(answers.about, asked);
    if (question === "latents") return env.latentsAt(asked);
    if (question === "influence") return env.influenceOf(answers.about, asked);
    if (question === "room" && env.room.answer) return env.room.answer;
    if (question === "room") throw new Refused(env.room.refused, 404);
    throw new Refused(NOT_HERE, 404);
  }
}
