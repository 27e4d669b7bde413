// Scales from bytes to colours: attention weights in viridis, and lift over uniform attention in blue to orange.

import { COLOURS } from "./colours.js";

/** The byte of a place where no weight is. */
export const ABSENT = 255;

const LEAST = [0, 114, 178];
const MIDDLE = [242, 242, 240];
const MOST = [213, 94, 0];
const FACTORS = [1 / 64, 1 / 16, 1 / 4, 1, 4, 16, 64];

/** Return the weight of a byte, which travels as round(254·√w); NaN where there is none. */
export const weightOf = (byte) => (byte === ABSENT ? NaN : (byte / 254) ** 2);

/** Return the largest byte that is a weight, 1 at least. */
export function topOf(shades) {
  let top = 1;
  for (const byte of shades) if (byte !== ABSENT && byte > top) top = byte;
  return top;
}

/** Return the byte that all but a share of the weights are below: one outlier must not darken all others. */
export function mostOf(shades, share = 0.998) {
  const counts = new Uint32Array(256);
  for (const byte of shades) counts[byte] += 1;
  let left = (shades.length - counts[ABSENT]) * share;
  for (let byte = 0; byte < ABSENT; byte++) if ((left -= counts[byte]) <= 0) return Math.max(1, byte);
  return 254;
}

const style = (red, green, blue) => `rgb(${red} ${green} ${blue})`;

/** Weights on a square-root scale whose end is the byte `top`; `cut` says that larger ones have its colour. */
export class WeightScale {
  constructor(top, cut = false) {
    Object.assign(this, { top, cut, unit: "attention weight", short: "weight" });
  }

  /** Return red, green and blue of a byte. */
  colour(byte) {
    const at = 3 * Math.min(255, Math.round((255 * byte) / this.top));
    return [COLOURS[at], COLOURS[at + 1], COLOURS[at + 2]];
  }

  /** Return the colour at a share of the scale, for the style of a pen. */
  at(share) {
    return style(...this.colour(this.top * share));
  }

  /** Return shares of the scale with the words that stand there. */
  marks(fine) {
    const most = (this.top / 254) ** 2;
    const text = (share) => `${this.cut && share === 1 ? "≥" : ""}${Number((most * share ** 2).toPrecision(2))}`;
    return (fine ? [0, 0.25, 0.5, 0.75, 1] : [0, 0.5, 1]).map((share) => [share, text(share)]);
  }
}

/** Weights as multiples of uniform attention, on a logarithmic scale around 1. */
export class LiftScale {
  /** `reach` is the largest power of two, up or down, that has a colour of its own. */
  constructor(reach) {
    Object.assign(this, { reach, unit: "attention ÷ uniform", short: "÷ uniform" });
  }

  /** Return a scale for bytes of contexts of so many tokens. */
  static of(top, seen) {
    return new LiftScale(Math.min(6, Math.max(2, Math.ceil(Math.abs(Math.log2(weightOf(top) * seen)) / 2) * 2)));
  }

  /** Return red, green and blue of a byte in a row of so many tokens. */
  colour(byte, seen) {
    return this.mixed(0.5 + Math.log2(Math.max(1e-9, weightOf(byte) * seen)) / (2 * this.reach));
  }

  mixed(share) {
    const part = Math.min(1, Math.max(0, share)) * 2 - 1;
    const end = part < 0 ? LEAST : MOST;
    return MIDDLE.map((middle, at) => Math.round(middle + (end[at] - middle) * Math.abs(part)));
  }

  /** Return the colour at a share of the scale, for the style of a pen. */
  at(share) {
    return style(...this.mixed(share));
  }

  /** Return shares of the scale with the words that stand there; what lies beyond an end has its colour. */
  marks() {
    const inside = FACTORS.filter((factor) => Math.abs(Math.log2(factor)) <= this.reach);
    const beyond = (share) => ({ 0: "≤", 1: "≥" })[share] || "";
    const words = (factor) => `${factor < 1 ? `1⁄${1 / factor}` : factor}×`;
    const shares = inside.map((factor) => [0.5 + Math.log2(factor) / (2 * this.reach), factor]);
    return shares.map(([share, factor]) => [share, `${beyond(share)}${words(factor)}`]);
  }
}
