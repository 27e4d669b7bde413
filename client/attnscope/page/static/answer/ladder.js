// The ladder: each judged arm at its looks, its kept share with the repeated interval, and the score beside its bounds.

import { h } from "../dom.js";
import { line, ticks, upright } from "../drawing/axes.js";
import { Picture } from "../drawing/picture.js";

const SIDES = { left: 56, right: 12, top: 10 };
const KEPT = 150;
const GAP = 26;
const SCORE = 96;
const BELOW = 42;
const SHADE = 0.1; // opacity of the two sides of the border
const OF_VERDICT = { "non-inferior": "reward", inferior: "cursor" };

const colourOf = (colours, verdict) => colours[OF_VERDICT[verdict] || "soft"];
const number = (value) => (value === null ? "without limit" : String(Number(value.toPrecision(3))));

/** Return one look of an arm in words. */
export function lookWords(column, place) {
  const look = column.looks[place];
  const kept = look.kept === null ? "an unknown share" : `${number(look.kept)} (${number(look.low)} to ${number(look.high)})`;
  const above = look.safe === null ? "not yet to be called non-inferior" : `non-inferior above ${number(look.safe)}`;
  const score = column.scored ? ` Score ${number(look.score)}: ${above}, inferior below ${number(look.harm)}.` : "";
  return `${column.arm}, look ${place + 1} at ${look.sample} ${column.unit}: ${look.verdict}. It keeps ${kept} of the gain.${score}`;
}

/** One arm: a canvas with its looks. */
class Rung extends Picture {
  constructor(ladder, column, place) {
    const said = column.looks.map((_, look) => lookWords(column, look)).join(" ");
    super(h("canvas", { tabindex: "0", role: "img", "aria-label": said }));
    Object.assign(this, { ladder, column, at: -1 });
    const last = column.looks[column.looks.length - 1].verdict;
    const verdict = h("span", { class: "verdict", "data-verdict": last }, last);
    this.element = h("figure", { class: "rung" }, h("figcaption", {}, `${place + 1}. ${column.arm} `, verdict), h("div", { class: "plot" }, this.canvas));
    this.canvas.addEventListener("pointermove", (event) => this.put(this.look(event)));
    this.canvas.addEventListener("keydown", (event) => this.walk(event));
  }

  x(place, box) {
    return box.x + ((place + 0.5) / this.column.looks.length) * box.w;
  }

  height() {
    return SIDES.top + KEPT + (this.column.scored ? GAP + SCORE : 0) + BELOW;
  }

  paint(pen, width, colours) {
    const { scored } = this.column;
    const box = { x: SIDES.left, y: SIDES.top, w: width - SIDES.left - SIDES.right, h: KEPT };
    this.drawKept(pen, box, colours);
    const lower = scored ? { ...box, y: box.y + KEPT + GAP, h: SCORE } : box;
    if (scored) this.drawScore(pen, lower, colours);
    this.drawSamples(pen, lower, colours);
    if (this.at < 0) return;
    pen.strokeStyle = colours.cursor;
    pen.setLineDash([3, 3]);
    line(pen, this.x(this.at, box), box.y, this.x(this.at, box), lower.y + lower.h);
    pen.setLineDash([]);
  }

  frame(pen, box, colours) {
    pen.strokeStyle = colours.line;
    pen.lineWidth = 1;
    pen.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
  }

  drawKept(pen, box, colours) {
    const { border } = this.ladder;
    const [low, high] = this.ladder.limits;
    const up = (value) => box.y + box.h * (1 - (Math.min(high, Math.max(low, value)) - low) / (high - low));
    pen.globalAlpha = SHADE;
    pen.fillStyle = colours.reward;
    pen.fillRect(box.x, box.y, box.w, up(border) - box.y);
    pen.fillStyle = colours.cursor;
    pen.fillRect(box.x, up(border), box.w, box.y + box.h - up(border));
    pen.globalAlpha = 1;
    this.frame(pen, box, colours);
    pen.strokeStyle = colours.ink;
    pen.setLineDash([6, 4]);
    line(pen, box.x, up(border), box.x + box.w, up(border));
    pen.setLineDash([]);
    this.column.looks.forEach((look, place) => {
      const x = this.x(place, box);
      pen.strokeStyle = pen.fillStyle = colourOf(colours, look.verdict);
      pen.lineWidth = 4;
      line(pen, x, up(look.low ?? low), x, up(look.high ?? high));
      if (look.kept === null) return;
      pen.beginPath();
      pen.arc(x, up(look.kept), 5, 0, 7);
      pen.fill();
    });
    upright(pen, box, ticks(low, high, 4), up, "gain kept", colours);
  }

  drawScore(pen, box, colours) {
    const { looks } = this.column;
    const every = looks.flatMap((look) => [look.score, look.safe, look.harm]).filter((one) => one !== null);
    const [low, high] = [Math.min(0, ...every) - 0.5, Math.max(0, ...every) + 0.5];
    const up = (value) => box.y + box.h * (1 - (value - low) / (high - low));
    this.frame(pen, box, colours);
    const path = (name, colour, dash) => {
      pen.strokeStyle = pen.fillStyle = colour;
      pen.lineWidth = 1.5;
      pen.setLineDash(dash);
      pen.beginPath();
      looks.forEach((look, place) => look[name] !== null && pen.lineTo(this.x(place, box), up(look[name])));
      pen.stroke();
      pen.setLineDash([]);
      looks.forEach((look, place) => {
        if (look[name] === null) return;
        pen.beginPath();
        pen.arc(this.x(place, box), up(look[name]), name === "score" ? 4 : 2.5, 0, 7);
        pen.fill();
      });
    };
    path("safe", colours.reward, [5, 3]);
    path("harm", colours.cursor, [5, 3]);
    path("score", colours.ink, []);
    upright(pen, box, ticks(low, high, 3), up, "score (z)", colours);
  }

  drawSamples(pen, box, colours) {
    pen.fillStyle = colours.soft;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    this.column.looks.forEach((look, place) => pen.fillText(look.sample, this.x(place, box), box.y + box.h + 6));
    pen.fillStyle = colours.ink;
    pen.fillText(this.column.unit, box.x + box.w / 2, box.y + box.h + 22);
  }

  look(event) {
    const area = this.canvas.getBoundingClientRect();
    const share = (event.clientX - area.left - SIDES.left) / (area.width - SIDES.left - SIDES.right);
    return share < 0 || share >= 1 ? -1 : Math.floor(share * this.column.looks.length);
  }

  walk(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    this.put(Math.min(this.column.looks.length - 1, Math.max(0, this.at + move)));
  }

  put(at) {
    if (at === this.at) return;
    this.at = at;
    this.draw();
    if (at >= 0) this.ladder.tell(lookWords(this.column, at));
  }
}

/** The judged arms side by side. */
export class Ladder {
  constructor(tell) {
    Object.assign(this, { tell, rungs: [], limits: [0, 1], border: 1 });
    this.element = h("div", { class: "rungs" });
  }

  /** Show the ladder of a decision. */
  show(decision) {
    Object.assign(this, { limits: decision.limits, border: decision.border });
    this.rungs = decision.ladder.map((column, place) => new Rung(this, column, place));
    this.element.replaceChildren(...this.rungs.map((rung) => rung.element));
    this.draw();
  }

  draw() {
    for (const rung of this.rungs) rung.draw();
  }
}
