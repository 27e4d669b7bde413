// The live page: a session, the view in the address, and what it names: a capture, two of them, or the jobs.

import { keepInAddress } from "./address.js";
import { h } from "./dom.js";
import { asked, LiveSource } from "./live.js";
import { Mounted } from "./mount.js";
import { AnswerPane } from "./panes/answer.js";
import { Jobs } from "./panes/jobs.js";
import { Pair } from "./panes/pair.js";
import { enter } from "./session.js";
import { Refused } from "./source.js";
import { copied } from "./taking.js";
import { View } from "./view.js";

const root = document.body;
const TOLD_MS = 2500;

function failed(text) {
  root.prepend(h("p", { id: "banner", role: "alert" }, text));
}

/** Return a select of the captures that this one can stand beside; it asks when it is first needed. */
function beside(view) {
  const select = h("select", { id: "with", "aria-label": "Compare with" }, new Option("compare with …", ""));
  const fill = async () => {
    const { jobs } = await asked("/api/jobs", {});
    const others = jobs.filter((job) => job.opens && job.id !== view.values.at);
    const words = (job) => [job.checkpoint, job.label, job.id.slice(0, 8)].filter(Boolean).join(" · ");
    select.replaceChildren(new Option(view.values.with ? "this one alone" : "compare with …", ""), ...others.map((job) => new Option(words(job), job.id)));
    select.value = view.values.with;
  };
  const once = () => fill().catch((error) => select.replaceChildren(new Option(error.message, "")));
  select.addEventListener("focus", once, { once: true });
  select.addEventListener("pointerenter", once, { once: true });
  select.addEventListener("change", () => view.change({ with: select.value }, true));
  if (view.values.with) once();
  return select;
}

/** Return what stands beside the title: the way to the jobs, the comparison, the link. */
function links(view) {
  const told = h("span", { id: "link-told", role: "status" });
  const say = (text) => {
    told.textContent = text;
    setTimeout(() => (told.textContent = ""), TOLD_MS);
  };
  const copy = h("button", { id: "copy-link", type: "button", onclick: () => copied(location.href, "link", say) }, "copy link");
  return [h("nav", { "aria-label": "Captures" }, h("a", { href: "#page=jobs" }, "all captures"), beside(view), copy, told)];
}

/** Return the pane of latents, whose module is loaded when it is first needed. */
async function latents() {
  try {
    return (await import("./panes/latents.js")).Latents;
  } catch (error) {
    throw new Refused(`The pane of latents was not loaded: ${error.message}`, 0);
  }
}

/** Show what the view names. */
function shown(view) {
  const { at, page, with: other } = view.values;
  if (page === "jobs" || !at) return new Jobs(root, (question, given, signal) => asked(`/api/${question}`, given, signal));
  if (!other) return new Mounted(root, new LiveSource(at), view, { keys: window, links: links(view), latents, above: (shared) => [new AnswerPane(shared)] });
  return new Pair(root, [new LiveSource(at), new LiveSource(other)], view, { links: links(view), sheet: "/page.css" });
}

async function start() {
  if (!(await enter())) return failed("This browser has no access: the link works once, within a minute. Run attnscope open again for another.");
  const view = new View();
  keepInAddress(view);
  let now = shown(view);
  view.onChange((changed) => {
    if (!["at", "with", "page"].some((name) => changed.has(name))) return;
    now.end();
    delete root.dataset.shown;
    now = shown(view);
  });
}

start().catch((error) => {
  failed(`This page failed: ${error.message}. Load it again.`);
  throw error;
});
