// The decision row of one head, large: bars over the transitions, uniform attention dashed, a strip of colours.

import { across, colourBar, line, ticks, upright } from "../drawing/axes.js";
import { picture, put } from "../drawing/paint.js";
import { ABSENT, topOf, weightOf } from "../drawing/scale.js";
import { slotOf, transitionsOf } from "../context.js";

const STRIP = 22;

/** Write a value beside a place, inside a box. */
function readout(pen, box, x, y, text, colours) {
  const wide = pen.measureText(text).width + 12;
  const left = x + 12 + wide > box.x + box.w ? x - 12 - wide : x + 12;
  const top = Math.min(box.y + box.h - 22, Math.max(box.y, y - 26));
  pen.fillStyle = colours.panel;
  pen.fillRect(left, top, wide, 20);
  pen.strokeStyle = colours.cursor;
  pen.lineWidth = 1;
  pen.strokeRect(left + 0.5, top + 0.5, wide - 1, 19);
  pen.fillStyle = colours.ink;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  pen.fillText(text, left + 6, top + 10.5);
}

/** Return the value under the cursor, as short as it can be. */
function valueWords(byte, seen) {
  const weight = weightOf(byte);
  return Number.isNaN(weight) ? "masked" : `${weight.toPrecision(2)} · ${(weight * seen).toPrecision(2)}×`;
}

/** Pixels that a row needs below its bars. */
export const BELOW_BARS = STRIP + 8;

/** Draw a row; `shown` is `{about, frame, shades, scale, lift, key}`, `key` the slot of the cursor or −1. */
export function paintRow(pen, box, shown, colours) {
  const { about, frame, shades, scale, lift, key } = shown;
  const n = shades.length;
  const bar = box.w / n;
  const unit = lift ? frame.length : 1;
  const most = Math.max(weightOf(topOf(shades)), 1.5 / frame.length);
  const up = (weight) => box.y + box.h * (1 - weight / most);
  pen.fillStyle = colours.panel;
  pen.fillRect(box.x, box.y, box.w, box.h);
  pen.fillStyle = colours.accent;
  shades.forEach((byte, slot) => {
    if (byte === ABSENT) return;
    const y = Math.max(box.y, up(weightOf(byte)));
    pen.fillRect(box.x + slot * bar, y, Math.max(1, bar - (bar > 4 ? 1 : 0)), box.y + box.h - y);
  });
  pen.lineWidth = 1;
  pen.setLineDash([2, 3]);
  pen.strokeStyle = colours.soft;
  for (const slot of frame.boundaries) line(pen, box.x + slot * bar, box.y, box.x + slot * bar, box.y + box.h);
  pen.setLineDash([6, 4]);
  pen.strokeStyle = pen.fillStyle = colours.cursor;
  const even = up(1 / frame.length);
  line(pen, box.x, even, box.x + box.w, even);
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  pen.fillText("uniform", box.x + box.w + 6, even);
  pen.setLineDash([]);
  const strip = { x: box.x, y: box.y + box.h + 4, w: box.w, h: STRIP };
  put(pen, picture(shades, n, 1, scale, () => frame.length), strip);
  const names = ticks(...transitionsOf(about, frame), box.w / 90, true);
  across(pen, strip, names, (name) => box.x + (slotOf(about, frame, name) + 0.5) * bar, "transition attended to", colours);
  upright(pen, box, ticks(0, most * unit, 4), (value) => up(value / unit), lift ? "attention ÷ uniform" : "attention weight", colours);
  if (key < 0) return;
  pen.strokeStyle = colours.cursor;
  pen.lineWidth = 2;
  pen.strokeRect(box.x + key * bar - 1, box.y, Math.max(bar, 2) + 2, box.h + STRIP + 5);
  readout(pen, box, box.x + (key + 0.5) * bar, box.y + 30, valueWords(shades[key], frame.length), colours);
}

/** Draw a map; `shown` as above, with `query` the bin of the cursor's query or −1. */
export function paintMap(pen, box, shown, colours) {
  const { about, frame, shades, scale, key, query, seen } = shown;
  const n = frame.shape[frame.shape.length - 1];
  put(pen, picture(shades, n, n, scale, (_, row) => seen(row)), box);
  const at = (slot) => box.x + (slot / frame.unit / n) * box.w;
  const down = (slot) => box.y + (slot / frame.unit / n) * box.h;
  pen.strokeStyle = colours.mark;
  pen.lineWidth = 1;
  for (const slot of frame.boundaries) {
    line(pen, at(slot), box.y, at(slot), box.y + box.h);
    line(pen, box.x, down(slot), box.x + box.w, down(slot));
  }
  const names = ticks(...transitionsOf(about, frame), 6, true);
  across(pen, box, names, (name) => at(slotOf(about, frame, name) + 0.5), "key: transition attended to", colours);
  upright(pen, box, names, (name) => down(slotOf(about, frame, name) + 0.5), "query: transition", colours);
  colourBar(pen, box, scale, colours);
  if (key < 0) return;
  pen.strokeStyle = colours.cursor;
  pen.lineWidth = 2;
  const cell = box.w / n;
  pen.strokeRect(box.x + key * cell - 1, box.y + query * cell - 1, cell + 2, cell + 2);
  const value = valueWords(shades[query * n + key], seen(query));
  readout(pen, box, box.x + (key + 0.5) * cell, box.y + query * cell, value, colours);
}
