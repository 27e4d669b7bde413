// Frames of all heads at one step: the part of one head, and the scale that the view wants.

import { LiftScale, topOf, WeightScale } from "./drawing/scale.js";

const MAP_DIMS = 4; // layer, head, query, slot

/** Return whether a frame holds maps, not rows. */
export const isMaps = (frame) => frame.shape.length === MAP_DIMS;

/** Return one head's weights of a frame of all heads. */
export function cut(about, frame, layer, head) {
  const size = frame.shape.slice(2).reduce((product, one) => product * one, 1);
  const first = (layer * about.heads.length + head) * size;
  return frame.shades.subarray(first, first + size);
}

const tops = new WeakMap();

/** Return the largest byte of all heads; it is looked for once a frame. */
export function topOfAll(frame) {
  if (!tops.has(frame)) tops.set(frame, topOf(frame.shades));
  return tops.get(frame);
}

/** Return the scale of one head's weights, as the view wants it; `top` is the largest byte of all heads. */
export function scaleOf(values, frame, shades, top = topOfAll(frame)) {
  if (values.scale === "own") return new WeightScale(topOf(shades));
  const most = Math.max(top, topOf(shades)); // a map that is shown whole has larger weights than a pooled one
  return values.scale === "lift" ? LiftScale.of(most, frame.length) : new WeightScale(most);
}
