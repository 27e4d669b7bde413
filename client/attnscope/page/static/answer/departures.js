// The screen's map: rules by history kept, coloured by departures of an episode; a table, so that all of it is text.

import { h } from "../dom.js";
import { colourBarAcross } from "../drawing/axes.js";
import { COLOURS } from "../drawing/colours.js";
import { Picture } from "../drawing/picture.js";

const DARK = 0.6; // share of the scale from which numbers are written in white
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

const digits = (value, places = 2) => (value === null ? "unknown" : value.toFixed(places));

/** Return a number with its interval. */
export function between([value, low, high], places = 2) {
  const ends = low === null || high === null ? "no interval" : `${digits(low, places)} to ${digits(high, places)}`;
  return `${digits(value, places)} (${ends})`;
}

/** Return what a cell of the map says in words. */
export function cellWords(rule, budget, cell, measure) {
  const more = [
    `${between(cell.tv, 3)} ${measure.decision}`,
    `${digits(cell.tokens, 1)} tokens kept${cell.share === null ? "" : ` (${Math.round(100 * cell.share)} %)`}`,
    `tokens stand: ${cell.positions}`,
  ];
  if (cell.retained !== null) more.push(`${Math.round(100 * cell.retained)} % of attention on them`);
  if (cell.cost !== null) more.push(`other policies lost ${digits(100 * cell.cost, 0)} % of the gain at as many`);
  return `${rule} at ${budget}: ${between(cell.departs)} ${measure.unit}; ${more.join("; ")}.`;
}

/** Departures of an episode in viridis, light where nothing departs. */
class DepartureScale {
  constructor(top, unit) {
    Object.assign(this, { top, unit, short: "departs" });
  }

  /** Return the colour at a share of the scale. */
  at(share) {
    const at = 3 * Math.round(255 * (1 - Math.min(1, Math.max(0, share))));
    return `rgb(${COLOURS[at]} ${COLOURS[at + 1]} ${COLOURS[at + 2]})`;
  }

  /** Return shares of the scale with the words that stand there. */
  marks() {
    return [0, 0.25, 0.5, 0.75, 1].map((share) => [share, String(Number((this.top * share).toPrecision(2)))]);
  }
}

/** The scale of a map, lying. */
class Bar extends Picture {
  height() {
    return 52;
  }

  paint(pen, width, colours) {
    colourBarAcross(pen, { x: 8, y: 4, w: Math.min(width, 420) - 30, h: 10 }, this.scale, colours);
  }
}

/** A map of a screen; it tells cells, and which rule was chosen. */
export class Departures {
  constructor(tell, choose) {
    Object.assign(this, { tell, choose });
    this.tables = h("div", { class: "wide" });
    this.bar = new Bar(h("canvas", { role: "img", "aria-label": "Colour scale: departures of an episode" }));
    this.element = h("div", {}, this.tables, h("div", { class: "plot" }, this.bar.canvas));
  }

  /** Show the maps of a screen. */
  show(screen) {
    this.scale = this.bar.scale = new DepartureScale(screen.top, screen.measure.unit);
    this.measure = screen.measure;
    this.tables.replaceChildren(...screen.maps.map((map) => this.table(map)));
    this.draw();
  }

  table(map) {
    const head = h("tr", {}, h("th", { scope: "col" }, "rule"), ...map.budgets.map((one) => h("th", { scope: "col" }, one)));
    const rows = map.rules.map((rule) => this.line(map, rule));
    const note = map.left ? `${map.title}; ${map.left} more rules are in the screen's own table` : map.title;
    const table = h("table", { class: "map", role: "grid" }, h("caption", {}, note), h("thead", {}, head), h("tbody", {}, ...rows));
    const first = table.querySelector("td[tabindex]");
    if (first) first.tabIndex = 0;
    table.addEventListener("keydown", (event) => this.walk(event, table));
    return table;
  }

  line(map, rule) {
    const cells = rule.cells.map((cell, column) => {
      if (cell === null) return h("td", { class: "none" }, "–");
      const [value] = cell.departs;
      const share = value === null ? 0 : value / this.scale.top;
      const made = h("td", { tabindex: "-1", class: value !== null && share > DARK ? "dark" : "light" }, digits(value));
      if (value !== null) made.style.background = this.scale.at(share);
      const say = () => this.tell(cellWords(rule.name, map.budgets[column], cell, this.measure));
      made.addEventListener("pointerenter", say);
      made.addEventListener("focus", say);
      made.addEventListener("click", () => this.choose(rule.name));
      return made;
    });
    return h("tr", {}, h("th", { scope: "row" }, rule.name), ...cells);
  }

  /** Move the focus among the cells; Enter chooses the rule. */
  walk(event, table) {
    const cell = event.target.closest("td[tabindex]");
    if (!cell) return;
    if (event.key === "Enter") cell.click();
    const move = ARROWS[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    const rows = [...table.querySelectorAll("tbody tr")];
    let row = rows.indexOf(cell.parentElement);
    let column = cell.cellIndex;
    do {
      row += move[0];
      column += move[1];
      const next = rows[row] && column > 0 ? rows[row].cells[column] : undefined;
      if (!next) return;
      if (next.hasAttribute("tabindex")) {
        cell.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
        return;
      }
    } while (row >= 0);
  }

  draw() {
    if (this.scale) this.bar.draw();
  }
}
