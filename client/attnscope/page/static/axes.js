// Canvases with axes: sharp on any screen, ticks at round numbers, a colour bar with weights, colours of the theme.

import { colourOf } from "./paint.js";

const FONT = "12px system-ui, sans-serif";
const NAMES = ["ink", "soft", "line", "panel", "accent", "cursor", "reward", "absent", "hatch", "mark"];

/** Return the colours of the page as it is now, dark or light. */
export function theme() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** Return a cleared pen of a canvas that fills its place, in units of CSS pixels. */
export function begin(canvas, height) {
  const width = Math.max(120, Math.floor(canvas.parentElement.clientWidth));
  const ratio = devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = FONT;
  return { pen, width, height };
}

/** Return round numbers between two ends, about `count` of them, whole ones where asked. */
export function ticks(low, high, count, whole = false) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const raw = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  let step = [1, 2, 5, 10].map((part) => part * power).find((part) => part >= raw * 0.999);
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-6; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

/** Return a number as people read it. */
export const said = (value) => (Math.abs(value) >= 1000 ? value.toLocaleString("en") : String(Number(value.toPrecision(4))));

/** Draw a horizontal axis below a box: numbers where `place` puts them, and a title. */
export function across(pen, box, values, place, title, colours) {
  pen.fillStyle = pen.strokeStyle = colours.soft;
  pen.textAlign = "center";
  pen.textBaseline = "top";
  pen.lineWidth = 1;
  let free = -Infinity;
  for (const value of values) {
    const [x, text] = [place(value), said(value)];
    const half = pen.measureText(text).width / 2;
    const middle = Math.min(Math.max(x, box.x + half - 6), box.x + box.w - half + 6);
    if (middle - half < free) continue;
    free = middle + half + 8;
    line(pen, x, box.y + box.h, x, box.y + box.h + 4);
    pen.fillText(text, middle, box.y + box.h + 6);
  }
  pen.fillStyle = colours.ink;
  pen.fillText(title, box.x + box.w / 2, box.y + box.h + 22, box.w);
}

/** Draw a vertical axis left of a box. */
export function upright(pen, box, values, place, title, colours) {
  pen.fillStyle = pen.strokeStyle = colours.soft;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  pen.lineWidth = 1;
  for (const value of values) {
    line(pen, box.x - 4, place(value), box.x, place(value));
    pen.fillText(said(value), box.x - 7, place(value));
  }
  pen.save();
  pen.fillStyle = colours.ink;
  pen.translate(11, box.y + box.h / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.fillText(title, 0, 0, box.h + 20);
  pen.restore();
}

/** Draw the colour scale right of a box, with the weights that its colours stand for. */
export function colourBar(pen, box, top, colours, cut = false) {
  const bar = { x: box.x + box.w + 14, y: box.y, w: 12, h: box.h };
  for (let row = 0; row < bar.h; row++) {
    pen.fillStyle = colourOf(top * (1 - row / (bar.h - 1)), top);
    pen.fillRect(bar.x, bar.y + row, bar.w, 1.5);
  }
  pen.fillStyle = pen.strokeStyle = colours.soft;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  const most = (top / 254) ** 2;
  const shares = box.h > 150 ? [1, 0.75, 0.5, 0.25, 0] : [1, 0.5, 0];
  for (const share of shares) {
    const y = bar.y + bar.h * (1 - share);
    const text = `${cut && share === 1 ? "≥" : ""}${Number((most * share ** 2).toPrecision(2))}`;
    line(pen, bar.x + bar.w, y, bar.x + bar.w + 3, y);
    pen.fillText(text, bar.x + bar.w + 6, y);
  }
  pen.textBaseline = "top";
  pen.fillStyle = colours.ink;
  pen.fillText("weight", bar.x, bar.y + bar.h + 8);
}

/** Draw the colour scale lying, with weights below it. */
export function colourBarAcross(pen, box, top, colours) {
  for (let column = 0; column < box.w; column++) {
    pen.fillStyle = colourOf((top * column) / Math.max(1, box.w - 1), top);
    pen.fillRect(box.x + column, box.y, 1.5, box.h);
  }
  const most = (top / 254) ** 2;
  const weights = [0, 0.25, 0.5, 0.75, 1].map((share) => Number((most * share ** 2).toPrecision(2)));
  const place = (weight) => box.x + box.w * Math.min(1, Math.sqrt(weight / most));
  across(pen, box, weights, place, "attention weight", colours);
}

/** Draw a line. */
export function line(pen, fromX, fromY, toX, toY) {
  pen.beginPath();
  pen.moveTo(fromX, fromY);
  pen.lineTo(toX, toY);
  pen.stroke();
}
