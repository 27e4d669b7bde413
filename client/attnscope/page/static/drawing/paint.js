// Pictures of bytes: one pixel a weight, transparent where there is none.

import { ABSENT } from "./scale.js";

/** Return a picture of weights; `seen` gives the tokens that a row of context has, by column and row of the picture. */
export function picture(shades, width, height, scale, seen = () => 1) {
  const image = new ImageData(width, height);
  const known = new Map();
  for (let place = 0; place < width * height; place++) {
    const byte = shades[place];
    if (byte === ABSENT) continue;
    const tokens = seen(place % width, Math.floor(place / width));
    const key = tokens * 256 + byte;
    let colour = known.get(key);
    if (!colour) known.set(key, (colour = [...scale.colour(byte, tokens), 255]));
    image.data.set(colour, 4 * place);
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
