// One capture on a page: header, controls and panes in a root, and the news of its job.

import { h } from "./dom.js";
import { Heads } from "./panes/heads.js";
import { Influence } from "./panes/influence.js";
import { Metrics } from "./panes/metrics.js";
import { Overview } from "./panes/overview.js";
import { Place } from "./panes/place.js";
import { Shared } from "./shared.js";
import { newest, Refused } from "./source.js";
import { Steps } from "./steps.js";
import { Transitions } from "./transitions.js";
import { sentence } from "./words.js";

const AGAIN_MS = 2000;
const GONE = 404;
const POINT = "Point at a picture: the transition under the cursor is told here.";

/** Return the usual panes. */
export function usualPanes(shared, transitions) {
  return [new Overview(shared), new Heads(shared, transitions), new Place(shared, transitions), new Influence(shared), new Metrics(shared)];
}

/**
 * A capture in a root, an element or a shadow root.
 * `panes` makes its panes; `keys` takes the keys of steps, null takes none; `steps` says whether it has controls;
 * `links` are elements beside its title; `name` is that of a part of a page, and is left out where it is the whole page;
 * `above` makes panes above the steps, there from the first news on; without `head` there is no header of its own.
 * `latents` gives the class of the pane of latents, which is loaded where a policy packs its history; null has none.
 */
export class Mounted {
  constructor(root, source, view, { panes = usualPanes, keys = undefined, steps = true, links = [], name = "", above = () => [], head = true, latents = null } = {}) {
    const shared = (this.shared = new Shared(source, view));
    shared.root = root.host || root;
    shared.tell = (told) => this.tell(told);
    this.transitions = new Transitions(shared);
    this.panes = panes(shared, this.transitions);
    this.above = above(shared);
    this.latents = latents;
    this.steps = new Steps(shared);
    this.steps.element.hidden = !steps;
    this.build(root, links, name);
    this.header.hidden = !head;
    this.decide = newest((signal) => shared.decide(signal));
    this.forgetting = view.onChange((changed) => this.render(changed));
    this.ended = new AbortController();
    this.telling = this.deciding = 0;
    if (keys !== null) this.steps.listen(keys || this.page, this.ended.signal);
    for (const [name, on] of [["beforeprint", true], ["afterprint", false]]) addEventListener(name, () => this.print(on), { signal: this.ended.signal });
    this.watched = new ResizeObserver(() => this.draw());
    this.watched.observe(this.main);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(), { signal: this.ended.signal });
    this.watch();
  }

  build(root, links, name) {
    this.title = h("h1", { id: "title" }, "A capture");
    this.state = h("p", { id: "state", class: "chip", role: "status" }, "asking …");
    this.origin = h("p", { id: "source" });
    this.header = h("header", {}, h("p", { class: "brand" }, "attnscope"), this.title, this.state, ...links, this.origin);
    this.banner = h("p", { id: "banner", role: "alert", hidden: true });
    this.waiting = h("p", { id: "waiting", class: "note", hidden: true }, "Nothing is committed yet. What is committed appears here by itself.");
    if (name) for (const pane of [...this.above, ...this.panes]) pane.element.setAttribute("role", "group"); // the part is the landmark
    this.main = h(name ? "div" : "main", { id: "main", hidden: true }, this.steps.element, ...this.panes.map((pane) => pane.element), this.steps.hint);
    this.words = h("p", { id: "words", "aria-live": "polite" }, POINT);
    this.page = h(name ? "section" : "div", { class: "page", "aria-label": name || false }, this.header, this.banner, this.waiting, ...this.above.map((pane) => pane.element), this.main, h("footer", {}, this.words));
    root.append(this.page);
  }

  /** End it: nothing is asked or drawn any more. */
  end() {
    this.ended.abort();
    this.forgetting();
    this.watched.disconnect();
    this.page.remove();
  }

  warn(text) {
    this.banner.hidden = !text;
    this.banner.textContent = text;
  }

  /** Say what is under the cursor; the last sentence stays where nothing is. */
  async tell(told) {
    if (typeof told === "string") {
      this.telling += 1;
      this.words.textContent = told;
    }
    if (!told || typeof told === "string" || !this.shared.about) return;
    const mine = ++this.telling;
    try {
      const said = await sentence(told, this.shared, this.transitions);
      if (mine === this.telling) this.words.textContent = said;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.words.textContent = error.message;
    }
  }

  render(changed) {
    if (!this.shared.there) return;
    const has = (...names) => names.some((name) => changed.has(name));
    this.steps.show();
    if (has("env", "step", "kind", "layer", "head")) {
      this.telling += 1;
      this.words.textContent = POINT;
    }
    if (has("env", "step")) this.ask();
    for (const pane of this.panes) pane.update(changed);
  }

  /** Ask for the decision rows of the step, and hand them to every pane. */
  async ask() {
    const mine = ++this.deciding;
    this.main.setAttribute("aria-busy", "true");
    await this.decide();
    if (mine !== this.deciding || this.ended.signal.aborted) return;
    this.main.removeAttribute("aria-busy");
    for (const pane of this.panes) pane.update(new Set(["decision"]));
  }

  /** Draw in the light colours while the page is printed: paper is white. */
  print(on) {
    for (const one of [document.documentElement, this.shared.root]) one.classList.toggle("printing", on);
    this.draw();
  }

  draw() {
    for (const pane of this.above) pane.draw();
    if (!this.shared.there) return;
    for (const pane of this.panes) pane.draw();
  }

  /** Take what does not change, once something is committed. */
  async meet() {
    const { shared } = this;
    const about = await shared.source.ask("about");
    const Latents = about.latents && this.latents && (await this.latents());
    shared.about = about;
    if (Latents) this.join(new Latents(shared, this.transitions));
    this.title.textContent = about.title;
    this.origin.textContent = [about.source, ...about.unsaid.map((one) => `unknown: ${one}`)].join("; ");
    this.steps.build();
    if (!about.rows && shared.values.kind === "rows") shared.view.change({ kind: "maps" });
  }

  /** Let a further pane stand behind that of the step. */
  join(pane) {
    const place = this.panes.findIndex((one) => one.id === "place");
    this.panes[place].element.after(pane.element);
    this.panes.splice(place + 1, 0, pane);
    if (this.page.localName === "section") pane.element.setAttribute("role", "group");
  }

  /** Return what the news change: the overview at a commit, the heads where their step moved; both where they failed. */
  due(seen, before) {
    const { decision, news, step } = this.shared;
    const changed = new Set();
    if (!seen.startsWith(`${news.committed}.`) || this.panes.some((pane) => !pane.note.hidden)) changed.add("news");
    if (step !== before || !decision) changed.add("step");
    return changed;
  }

  async hear(seen) {
    const { shared } = this;
    const answer = await shared.source.ask("news", { seen }, this.ended.signal);
    const before = shared.news && shared.step; // the step may have been changed while the question was held
    const news = (shared.news = answer);
    this.warn(news.lost || "");
    this.state.textContent = news.words;
    if (!shared.about) this.title.textContent = news.title;
    this.state.dataset.state = news.state;
    for (const pane of this.above) pane.update(new Set(["news"]));
    if (news.committed && !shared.about) await this.meet();
    this.waiting.hidden = Boolean(news.committed);
    this.main.hidden = !news.committed;
    if (news.mark !== seen) this.render(this.due(seen, before));
    shared.root.dataset.committed = String(news.committed);
    return news.mark;
  }

  /** Ask how the job is until the end; a question is held until something is other than it was. */
  async watch() {
    let seen = "";
    while (!this.ended.signal.aborted) {
      try {
        seen = await this.hear(seen);
        if (this.shared.source.still) return;
      } catch (error) {
        if (error.name === "AbortError") return;
        if (!(error instanceof Refused)) {
          this.warn(`This page failed: ${error.message}. Load it again.`);
          throw error;
        }
        this.warn(error.message);
        if (error.status === GONE) {
          this.state.textContent = "not there";
          this.state.dataset.state = "failed";
        }
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
      while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    }
  }
}
