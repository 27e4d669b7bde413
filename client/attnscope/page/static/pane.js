// One section of the page: a title, controls, a place for a refusal, and only the newest of its questions alive.

import { h } from "./dom.js";
import { newest, Refused } from "./source.js";

/** A section that shows one view; a subclass fills `body`, and answers `update` and `draw`. */
export class Pane {
  constructor(shared, id, title) {
    this.shared = shared;
    this.id = id;
    this.title = h("h2", { id: `${id}-title` }, title);
    this.controls = h("div", { class: "controls" });
    this.note = h("p", { class: "note", id: `${id}-note`, hidden: true });
    this.body = h("div");
    const head = h("div", { class: "head" }, this.title, this.controls);
    this.element = h("div", { role: "region", "aria-labelledby": `${id}-title`, class: `pane ${id}` }, head, this.note, this.body);
    this.newest = newest((signal, work) => work(signal));
    this.waits = 0;
  }

  /** Say why a view is not there, in its own place; an empty text says nothing. */
  refuse(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
  }

  /** Do work that asks; a later call ends an earlier one, and a refusal is said in the pane. Return whether it was done. */
  async busy(work) {
    this.waits += 1;
    this.body.setAttribute("aria-busy", "true");
    try {
      await this.newest(work);
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.refuse(error.message);
      return false;
    } finally {
      this.waits -= 1;
      if (!this.waits) this.body.removeAttribute("aria-busy");
      this.mark();
    }
  }

  /** Note that a view was answered: for measurements, and for whoever waits for it. */
  mark() {
    performance.mark(`attnscope-${this.id}`);
    const { root } = this.shared;
    if (root) root.dataset.shown = String(Number(root.dataset.shown || 0) + 1);
  }

  /** Show a change of the view; the names of what changed, "news" and "decision" among them. */
  update() {}

  /** Draw again, because the width or the theme changed. */
  draw() {}

  /** Return a select that changes one value of the view. */
  bound(name, select) {
    select.addEventListener("change", () => this.shared.view.change({ [name]: select.value }, true));
    return select;
  }
}
