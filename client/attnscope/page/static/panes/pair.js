// Two captures side by side: one view, so that step, head, zoom and cursor are linked.

import { h } from "../dom.js";
import { Mounted } from "../mount.js";
import { Heads } from "./heads.js";
import { Overview } from "./overview.js";
import { Place } from "./place.js";

const panes = (shared, transitions) => [new Overview(shared), new Heads(shared, transitions), new Place(shared, transitions)];

/** Two captures; each stands in a shadow root, so that its names are its own. */
export class Pair {
  constructor(root, sources, view, { links, sheet }) {
    const sides = h("div", { class: "pair" });
    const top = h("header", { class: "page" }, h("p", { class: "brand" }, "attnscope · two captures, one view"), ...links);
    this.element = h("div", {}, top, h("main", {}, sides));
    root.append(this.element);
    this.sides = sources.map((source, place) => {
      const side = h("div", { class: "side" });
      sides.append(side);
      const inside = side.attachShadow({ mode: "open" });
      inside.append(h("link", { rel: "stylesheet", href: sheet }));
      const name = place ? "second capture" : "first capture";
      return new Mounted(inside, source, view, { panes, name, keys: place ? null : window });
    });
  }

  end() {
    for (const side of this.sides) side.end();
    this.element.remove();
  }
}
