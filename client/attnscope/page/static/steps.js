// The controls of environment and step, and the keys of the whole page.

import { h } from "./dom.js";

const KEYS = "Keys: ← → a step, Shift ten, Page an episode, Home and End, + and − zoom; in the heads ← → ↑ ↓ choose, in the large picture they move the cursor. Square-root colours, one byte a weight.";
const TEN = 10;

/** The row that stays at the top. */
export class Steps {
  constructor(shared) {
    this.shared = shared;
    const go = (to, leap) => shared.go(to, leap);
    this.env = h("select", { id: "env", onchange: () => shared.view.change({ env: Number(this.env.value) }, true) });
    this.slider = h("input", { id: "step", type: "range", min: 0, value: 0, oninput: () => go(Number(this.slider.value)) });
    this.typed = false; // a number that is being typed is left alone, while the capture grows
    const typing = { oninput: () => (this.typed = true), onchange: () => this.numbered(), onblur: () => (this.typed = false) };
    this.number = h("input", { id: "number", type: "number", min: 0, "aria-label": "Step, by number", ...typing });
    this.of = h("span", { id: "of" });
    this.element = h(
      "div",
      { class: "controls sticky" },
      h("label", {}, "Environment ", this.env),
      h(
        "span",
        { class: "stepper" },
        h("label", { for: "step" }, "Step"),
        h("button", { id: "back", type: "button", "aria-label": "one step back", onclick: () => go(shared.step - 1) }, "‹"),
        this.slider,
        h("button", { id: "on", type: "button", "aria-label": "one step on", onclick: () => go(shared.step + 1) }, "›"),
        this.number,
        this.of,
      ),
    );
    this.hint = h("p", { class: "hint" }, KEYS);
  }

  /** List the environments, once they are known. */
  build() {
    const { about, values } = this.shared;
    this.env.replaceChildren(...(about.held || [...about.envs.keys()]).map((place) => new Option(about.envs[place], String(place))));
    values.env = Math.min(values.env, about.envs.length - 1);
    values.layer = Math.min(values.layer, about.layers.length - 1);
    values.head = Math.min(values.head, about.heads.length - 1);
  }

  /** Go to the number that was typed, moved into what is committed. */
  numbered() {
    this.typed = false;
    this.shared.go(Number(this.number.value) || 0, true);
    this.number.value = String(this.shared.step);
  }

  /** Set every control to the view. */
  show() {
    const { news, step, values } = this.shared;
    this.env.value = String(values.env);
    this.slider.max = this.number.max = String(Math.max(0, news.committed - 1));
    this.slider.value = String(step);
    if (!this.typed) this.number.value = String(step);
    this.slider.setAttribute("aria-valuetext", `step ${step} of ${news.committed}`);
    this.of.textContent = `of ${news.committed.toLocaleString("en")}`;
  }

  /** Take the keys that a target hears, until a signal. */
  listen(target, signal) {
    target.addEventListener("keydown", (event) => this.key(event), { signal });
  }

  key(event) {
    const { about, news, step, there, view } = this.shared;
    if (!there || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.composedPath()[0].matches("select, input, .wide, pre")) return; // which move by these keys themselves
    const far = about.horizon || TEN;
    const moves = { ArrowLeft: event.shiftKey ? -TEN : -1, ArrowRight: event.shiftKey ? TEN : 1, PageUp: -far, PageDown: far };
    if (event.key in moves) this.shared.go(step + moves[event.key]);
    else if (event.key === "Home") this.shared.go(0);
    else if (event.key === "End") this.shared.go(news.committed - 1);
    else if (event.key === "Escape") view.change({ from: -1, to: -1 }, true);
    else if (event.key === "+" || event.key === "=") view.change(view.zoomed(0.5, step, news.total), true);
    else if (event.key === "-") view.change(view.zoomed(2, step, news.total), true);
    else return;
    event.preventDefault();
  }
}
