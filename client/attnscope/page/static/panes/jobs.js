// The list of a service's jobs, or of the folders that were opened: states, progress, owners, a filter, keys.

import { h, selecting } from "../dom.js";
import { Refused } from "../source.js";

const AGAIN_MS = 2000;
const LONG = 30;
const STATES = ["queued", "running", "cancelling", "interrupted", "succeeded", "failed", "cancelled"];
const COLUMNS = ["state", "progress", "checkpoint", "label", "kind", "owner", "made", "id"];
const OPTIONAL = ["label", "owner", "made"].map((name) => [name, COLUMNS.indexOf(name)]);

/** Return seconds as people say them. */
export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** The list; `ask` gives a promise of the answer to the question "jobs". */
export class Jobs {
  constructor(root, ask) {
    Object.assign(this, { root, ask, jobs: [], ended: new AbortController() });
    this.filter = h("input", { id: "filter", type: "search", "aria-label": "Filter by label, checkpoint, owner or id", placeholder: "filter", oninput: () => this.draw() });
    this.only = selecting("State", [["", "all"], ...STATES.map((one) => [one, one])], { id: "only", onchange: () => this.draw() });
    this.rows = h("tbody");
    this.banner = h("p", { id: "banner", role: "alert", hidden: true });
    this.words = h("p", { id: "jobs-words", class: "hint", role: "status" }, "asking …");
    const head = h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, name)));
    this.table = h("table", { id: "jobs", onkeydown: (event) => this.key(event) }, h("thead", {}, head), this.rows);
    this.page = h(
      "div",
      { class: "page" },
      h("header", {}, h("p", { class: "brand" }, "attnscope"), h("h1", { id: "title" }, "Jobs")),
      this.banner,
      h(
        "main",
        { id: "main" },
        h("div", { class: "controls" }, h("label", {}, "Filter ", this.filter), this.only),
        h("section", { "aria-label": "Jobs" }, h("div", { class: "wide", tabindex: 0, role: "group", "aria-label": "Table of the jobs" }, this.table), this.words),
        h("p", { class: "hint" }, "Keys: ↑ ↓ choose a job, Enter opens it, / goes to the filter."),
      ),
    );
    root.append(this.page);
    addEventListener("keydown", (event) => this.key(event), { signal: this.ended.signal });
    this.watch();
  }

  /** End it: nothing is asked any more. */
  end() {
    this.ended.abort();
    this.page.remove();
  }

  async watch() {
    let seen = "";
    while (!this.ended.signal.aborted) {
      try {
        const found = await this.ask("jobs", { seen }, this.ended.signal);
        this.banner.hidden = true;
        if (found.mark !== seen) {
          Object.assign(this, { jobs: found.jobs, more: found.more });
          this.draw();
        }
        seen = found.mark;
      } catch (error) {
        if (error.name === "AbortError") return;
        if (!(error instanceof Refused)) throw error;
        this.banner.textContent = error.message;
        this.banner.hidden = false;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
      while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    }
  }

  get chosen() {
    const [wanted, state] = [this.filter.value.trim().toLowerCase(), this.only.lastChild.value];
    const holds = (job) => [job.label, job.checkpoint, job.owner, job.id, job.kind].some((text) => text.toLowerCase().includes(wanted));
    return this.jobs.filter((job) => (!state || job.state === state) && (!wanted || holds(job)));
  }

  draw() {
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.id : undefined;
    const shown = this.chosen;
    this.rows.replaceChildren(...shown.map((job) => this.row(job)));
    for (const [name, at] of OPTIONAL) { // the list of folders has none of these
      const empty = !this.jobs.some((job) => job[name]);
      for (const row of this.table.querySelectorAll("tr")) row.children[at].hidden = empty;
    }
    const again = focused && [...this.rows.querySelectorAll("[data-id]")].find((one) => one.dataset.id === focused);
    if (again) again.focus();
    const more = this.more ? `; older ones are not listed` : "";
    this.words.textContent = this.jobs.length ? `${shown.length} of ${this.jobs.length} jobs${more}.` : "There is no job yet. Submit one: attnscope submit.";
    this.root.dataset.shown = String(Number(this.root.dataset.shown || 0) + 1);
  }

  row(job) {
    const name = job.checkpoint || job.id.slice(0, 8);
    const link = job.opens ? h("a", { href: `#at=${encodeURIComponent(job.id)}`, "data-id": job.id }, name) : name;
    const share = job.total ? job.done / job.total : 0;
    const bar = h("progress", { max: 1, value: share, "aria-label": `${Math.round(100 * share)} % of the steps` });
    const left = job.eta === null ? "" : `, ${duration(job.eta)} left`;
    const place = job.place === null ? "" : `, place ${job.place + 1} in the queue`;
    const steps = h("span", {}, ` ${job.done.toLocaleString("en")} of ${job.total.toLocaleString("en")}${left}${place}${job.stalled ? ", stalled" : ""}`);
    const state = h("span", { class: "chip", "data-state": job.state, title: job.failure || false }, job.state);
    const open = job.opens ? { onclick: (event) => event.target.closest("a") || link.click(), class: "opens" } : {};
    const cells = [state, h("span", { class: "steps" }, bar, steps), link, job.label, job.kind, job.owner, job.made, job.id.slice(0, 8)];
    return h("tr", open, ...cells.map((cell) => h("td", { title: typeof cell === "string" && cell.length > LONG && cell }, cell)));
  }

  /** Choose a job by arrows; Enter is a link's own key. */
  key(event) {
    if (event.key === "/" && document.activeElement !== this.filter) {
      event.preventDefault();
      return void this.filter.focus();
    }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    if (event.defaultPrevented || event.target.tagName === "SELECT") return;
    const links = [...this.rows.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const to = links[Math.max(0, Math.min(links.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))];
    if (!to) return;
    event.preventDefault();
    to.focus();
  }
}
