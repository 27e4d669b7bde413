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

/** Return the scale of one head's weights, as the view wants it; `all` are the weights of all heads. */
export function scaleOf(values, frame, shades, all) {
  if (values.scale === "lift") return LiftScale.of(topOf(all), frame.length);
  return new WeightScale(topOf(values.scale === "own" ? shades : all));
}
