// The environment's grid: attended cells, the path of the episode, the agent, marks of the task, the cursor's cell.

import { across, colourBar, ticks, upright } from "../drawing/axes.js";
import { Picture } from "../drawing/picture.js";
import { topOf, WeightScale } from "../drawing/scale.js";

const SIDES = { left: 46, right: 82, top: 8, below: 42 };
const [SMALLEST, LARGEST] = [4, 300];

/** Return bytes of the attention that each cell has, by "row,column": the sum over the transitions that began there. */
export function cellsOf(states, weights) {
  const sums = new Map();
  states.forEach((state, at) => {
    if (!Array.isArray(state) || !(weights[at] >= 0)) return;
    const key = String(state);
    sums.set(key, (sums.get(key) || 0) + weights[at]);
  });
  return new Map([...sums].map(([key, sum]) => [key, Math.min(254, Math.round(254 * Math.sqrt(sum)))]));
}

/** Draws a room; `shown` is `{room, cells, path, agent, cell}`, or null. */
export class RoomPicture extends Picture {
  constructor(canvas) {
    super(canvas);
    this.shown = null;
  }

  get size() {
    if (!this.shown) return [9, 9];
    const { low, high } = this.shown.room;
    return [high[0] - low[0] + 1, high[1] - low[1] + 1];
  }

  box(width) {
    const [rows, columns] = this.size;
    const cell = Math.max(SMALLEST, Math.min((width - SIDES.left - SIDES.right) / columns, LARGEST / rows));
    return { x: SIDES.left, y: SIDES.top, w: cell * columns, h: cell * rows, cell };
  }

  height(width) {
    return SIDES.top + this.box(width).h + SIDES.below;
  }

  paint(pen, width, colours) {
    const box = this.box(width);
    pen.fillStyle = colours.absent;
    pen.fillRect(box.x, box.y, box.w, box.h);
    if (!this.shown) return;
    const { room, cells, path, agent, cell } = this.shown;
    const [low, high] = [room.low, room.high];
    const at = ([row, column]) => [box.x + (column - low[1]) * box.cell, box.y + (row - low[0]) * box.cell];
    const middle = (state) => at(state).map((edge) => edge + box.cell / 2);
    const scale = new WeightScale(topOf([...cells.values()]));
    for (const [key, byte] of cells) {
      pen.fillStyle = `rgb(${scale.colour(byte).join(" ")})`;
      pen.fillRect(...at(key.split(",").map(Number)), box.cell, box.cell);
    }
    this.paintLines(pen, box, colours);
    this.paintPath(pen, path.map(middle), colours);
    for (const mark of room.marks) this.paintMark(pen, ...middle(mark.at), mark.name, box.cell, colours);
    if (agent) this.paintAgent(pen, ...middle(agent), box.cell, colours);
    if (cell) {
      pen.strokeStyle = colours.cursor;
      pen.lineWidth = 3;
      pen.strokeRect(...at(cell), box.cell, box.cell);
    }
    const column = (value) => box.x + (value - low[1] + 0.5) * box.cell;
    const row = (value) => box.y + (value - low[0] + 0.5) * box.cell;
    across(pen, box, ticks(low[1], high[1], box.w / 34, true), column, "column", colours);
    upright(pen, box, ticks(low[0], high[0], box.h / 24, true), row, "row", colours);
    if (cells.size) colourBar(pen, box, scale, colours);
  }

  paintLines(pen, box, colours) {
    pen.strokeStyle = colours.line;
    pen.lineWidth = 1;
    pen.beginPath();
    for (let x = 0; x <= box.w + 0.5; x += box.cell) {
      pen.moveTo(box.x + x, box.y);
      pen.lineTo(box.x + x, box.y + box.h);
    }
    for (let y = 0; y <= box.h + 0.5; y += box.cell) {
      pen.moveTo(box.x, box.y + y);
      pen.lineTo(box.x + box.w, box.y + y);
    }
    pen.stroke();
  }

  /** Draw the episode so far as a line, light in dark, so that it is seen on any cell. */
  paintPath(pen, places, colours) {
    for (const [wide, colour] of [[4, colours.panel], [2, colours.cursor]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = wide;
      pen.beginPath();
      for (const place of places) pen.lineTo(...place);
      pen.stroke();
    }
  }

  paintMark(pen, x, y, name, cell, colours) {
    pen.strokeStyle = colours.panel;
    pen.lineWidth = 5;
    pen.strokeRect(x - cell * 0.3, y - cell * 0.3, cell * 0.6, cell * 0.6);
    pen.strokeStyle = colours.reward;
    pen.lineWidth = 3;
    pen.strokeRect(x - cell * 0.3, y - cell * 0.3, cell * 0.6, cell * 0.6);
    void name;
  }

  paintAgent(pen, x, y, cell, colours) {
    for (const [radius, colour] of [[cell * 0.24 + 2, colours.panel], [cell * 0.24, colours.cursor]]) {
      pen.fillStyle = colour;
      pen.beginPath();
      pen.arc(x, y, radius, 0, 7);
      pen.fill();
    }
  }
}
