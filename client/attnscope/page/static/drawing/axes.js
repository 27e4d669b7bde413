// Canvases with axes: sharp on any screen, ticks at round numbers, a colour bar with its unit, colours of the theme.

const FONT = "12px system-ui, sans-serif";
const NAMES = ["ink", "soft", "line", "panel", "accent", "cursor", "reward", "absent", "hatch", "mark"];

/** Return the colours of a canvas's surroundings as they are now, dark or light. */
export function theme(canvas) {
  const style = getComputedStyle(canvas);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** Return a cleared pen of a canvas of this size, in CSS pixels. */
export function begin(canvas, width, height) {
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
export function across(pen, box, values, place, title, colours, words = said) {
  pen.fillStyle = pen.strokeStyle = colours.soft;
  pen.textAlign = "center";
  pen.textBaseline = "top";
  pen.lineWidth = 1;
  let free = -Infinity;
  for (const value of values) {
    const [x, text] = [place(value), words(value)];
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
  pen.translate(8, box.y + box.h / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.fillText(title, 0, 0, box.h + 20);
  pen.restore();
}

/** Draw a colour scale right of a box, with the values that its colours stand for, and their unit below. */
export function colourBar(pen, box, scale, colours) {
  const bar = { x: box.x + box.w + 14, y: box.y, w: 12, h: box.h };
  for (let row = 0; row < bar.h; row++) {
    pen.fillStyle = scale.at(1 - row / (bar.h - 1));
    pen.fillRect(bar.x, bar.y + row, bar.w, 1.5);
  }
  pen.fillStyle = pen.strokeStyle = colours.soft;
  pen.lineWidth = 1;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  for (const [share, text] of scale.marks(box.h > 150)) {
    const y = bar.y + bar.h * (1 - share);
    line(pen, bar.x + bar.w, y, bar.x + bar.w + 3, y);
    pen.fillText(text, bar.x + bar.w + 6, y);
  }
  pen.textBaseline = "top";
  pen.fillStyle = colours.ink;
  pen.fillText(scale.short, bar.x - 6, bar.y + bar.h + 8);
}

/** Draw a colour scale lying, with the values and their unit below it. */
export function colourBarAcross(pen, box, scale, colours) {
  for (let column = 0; column < box.w; column++) {
    pen.fillStyle = scale.at(column / Math.max(1, box.w - 1));
    pen.fillRect(box.x + column, box.y, 1.5, box.h);
  }
  const words = new Map(scale.marks(true));
  const place = (share) => box.x + box.w * share;
  across(pen, box, [...words.keys()], place, scale.unit, colours, (share) => words.get(share));
}

/** Draw a line. */
export function line(pen, fromX, fromY, toX, toY) {
  pen.beginPath();
  pen.moveTo(fromX, fromY);
  pen.lineTo(toX, toY);
  pen.stroke();
}
