// Bytes to colours: a weight w travels as round(254·√w), 255 where there is none.

import { COLOURS } from "./colours.js";

export const ABSENT = 255;

/** Return the weight of a byte; NaN where there is none. */
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

/** Return the place of a byte in the colour scale whose end is `top`. */
const placeOf = (byte, top) => Math.min(255, Math.round((255 * byte) / top));

/** Return a byte's colour for the style of a pen. */
export function colourOf(byte, top) {
  const at = 3 * placeOf(byte, top);
  return `rgb(${COLOURS[at]} ${COLOURS[at + 1]} ${COLOURS[at + 2]})`;
}

/** Return a picture with one pixel a weight, transparent where there is none; `at` says where a weight stands. */
export function picture(shades, width, height, top) {
  const image = new ImageData(width, height);
  for (let place = 0; place < width * height; place++) {
    const byte = shades[place];
    if (byte === ABSENT) continue;
    const colour = 3 * placeOf(byte, top);
    image.data.set([COLOURS[colour], COLOURS[colour + 1], COLOURS[colour + 2], 255], 4 * place);
  }
  const small = new OffscreenCanvas(width, height);
  small.getContext("2d").putImageData(image, 0, 0);
  return small;
}

/** Draw a picture into a box, its pixels sharp. */
export function put(pen, small, box) {
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, box.x, box.y, box.w, box.h);
}

/** Fill a box with the pattern for what is not there. */
export function hatch(pen, box, theme) {
  pen.save();
  pen.beginPath();
  pen.rect(box.x, box.y, box.w, box.h);
  pen.clip();
  pen.fillStyle = theme.absent;
  pen.fillRect(box.x, box.y, box.w, box.h);
  pen.strokeStyle = theme.hatch;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let x = box.x - box.h; x < box.x + box.w; x += 8) {
    pen.moveTo(x, box.y + box.h);
    pen.lineTo(x + box.h, box.y);
  }
  pen.stroke();
  pen.restore();
}
