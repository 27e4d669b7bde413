// Returns of episodes, rewarded steps and the episodes' borders, on the overview's axis of steps.

import { line, ticks, upright } from "../drawing/axes.js";

const MOST_LINES = 120;

/** Draw a frame, and the returns and rewards of an overview in it; `x` places a step. */
export function drawReturns(pen, box, data, x, colours) {
  pen.strokeStyle = colours.line;
  pen.lineWidth = 1;
  pen.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
  if (!data) return;
  const { returns, rewards, boundaries, steps, last } = data;
  const values = returns.map(([, value]) => value);
  const least = Math.min(0, ...values);
  const most = Math.max(0, ...values) || (least < 0 ? 0 : 1); // returns of 0 alone stand on the axis
  const floor = box.y + box.h - 14;
  const up = (value) => floor - ((value - least) / (most - least)) * (box.h - 24);
  if (returns.length) upright(pen, box, ticks(least, most, 2), up, "return", colours);
  pen.save();
  pen.beginPath();
  pen.rect(box.x, box.y, box.w, box.h); // while other steps are asked for, some stand outside
  pen.clip();
  if (boundaries.length <= MOST_LINES) {
    pen.strokeStyle = colours.line;
    for (const step of boundaries) line(pen, x(step), box.y, x(step), box.y + box.h);
  }
  pen.fillStyle = colours.reward;
  (rewards || []).forEach((value, column) => {
    if (!value) return;
    const from = x(steps[column]);
    const next = column + 1 < steps.length ? steps[column + 1] : last;
    pen.fillRect(from, box.y + box.h - 10, Math.max(1, x(next) - from), 9);
  });
  pen.strokeStyle = pen.fillStyle = colours.accent;
  pen.lineWidth = 2;
  pen.beginPath();
  for (const [step, value] of returns) pen.lineTo(x(step + 0.5), up(value));
  pen.stroke();
  for (const [step, value] of returns.length <= MOST_LINES ? returns : []) {
    pen.beginPath();
    pen.arc(x(step + 0.5), up(value), 2.5, 0, 7);
    pen.fill();
  }
  pen.restore();
  pen.fillStyle = colours.reward;
  pen.textAlign = "left";
  pen.fillText("rewards", box.x + box.w + 6, box.y + box.h - 6);
}
