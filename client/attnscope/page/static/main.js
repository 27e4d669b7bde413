// The page: takes the view from the address, asks for what it shows, and follows the job while it runs.

import { frame, json, newest, Refused } from "./api.js";
import { Band } from "./band.js";
import { Heads } from "./heads.js";
import { enter, renew } from "./session.js";
import { change, follow, onChange, shownSteps, state } from "./state.js";
import { wireTaking } from "./taking.js";
import { sentence } from "./words.js";

const el = (name) => document.getElementById(name);
const AGAIN_MS = 2000;
const UNAUTHORIZED = 401;
const MOST_OFFERED = 24;
const POINT = "Point at a picture: the transition under the cursor is told here.";

let about = null;
let news = null;
const band = new Band(el("band"), tell);
const heads = new Heads(el("heads"), el("focus"), el("ramp"), tell);

function banner(text) {
  el("banner").hidden = !text;
  el("banner").textContent = text || "";
}

/** Say why a view is not there, in its own place. */
function note(name, text) {
  el(`${name}-note`).textContent = text || "";
  el(`${name}-note`).hidden = !text;
}

const step = () => Math.max(0, Math.min(state.step < 0 ? Infinity : state.step, news.committed - 1));

let telling = 0;

/** Say what is under the cursor; the last sentence stays where nothing is. */
async function tell(told) {
  if (!told || !about) return;
  const mine = ++telling;
  try {
    const said = await sentence(told, about, news.committed);
    if (mine === telling) el("words").textContent = said;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    el("words").textContent = error.message;
  }
}

/** Take back a sentence about another view. */
function forget() {
  telling += 1;
  el("words").textContent = POINT;
}

const askBand = newest(async (signal) => {
  const [first, last] = shownSteps(news.total);
  const asked = { env: state.env, first, last };
  if (state.by === "head") Object.assign(asked, { layer: state.layer, head: state.head });
  const found = await frame("/api/band", asked, signal);
  band.show(found, about, news);
  note("band", about.rows ? "" : about.noRows);
  el("band-words").textContent = band.words();
});

const askHeads = newest(async (signal) => {
  const asked = { env: state.env, step: step() };
  const found = await frame("/api/heads", { ...asked, kind: state.kind }, signal);
  const pooled = state.kind === "maps" && found.unit > 1;
  const one = pooled ? await frame("/api/map", { ...asked, layer: state.layer, head: state.head }, signal) : null;
  heads.show(found, one);
  const where = state.kind === "maps" ? `, ${found.source}` : "";
  const other = found.step === step() ? "" : `; the row of step ${found.step}, the last stored one before`;
  el("heads-words").textContent = `${found.length} tokens${where}${other}`;
  note("heads", "");
});

async function shown(name, work) {
  el(name).setAttribute("aria-busy", "true");
  try {
    await work();
    return;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    note(name, error.message);
    if (name === "heads") heads.clear();
  } finally {
    el(name).removeAttribute("aria-busy");
    performance.mark(`attnscope-${name}`);
    document.body.dataset.shown = String(Number(document.body.dataset.shown || 0) + 1);
  }
}

/** Set every control to the view. */
function controls() {
  el("env").value = String(state.env);
  el("step").max = String(Math.max(0, news.committed - 1));
  el("step").value = el("number").value = String(step());
  el("number").max = el("step").max;
  el("step").setAttribute("aria-valuetext", `step ${step()} of ${news.committed}`);
  el("of").textContent = `of ${news.committed.toLocaleString("en")}`;
  for (const choice of document.querySelectorAll("[data-choice]")) choice.value = state[choice.dataset.choice];
  el("whole").disabled = state.from < 0;
  el("heads-title").textContent = `Heads at step ${step()}`;
  el("stored").hidden = about.replays || state.kind !== "maps";
  el("one-head").textContent = `head ${about.layers[state.layer] ?? 0}.${about.heads[state.head] ?? 0}`;
}

function render(changed) {
  if (!about || !news || !news.committed) return;
  controls();
  const has = (...names) => names.some((name) => changed.has(name));
  if (has("env", "step", "kind", "layer", "head")) forget();
  const mine = state.by === "head" && has("layer", "head");
  if (has("env", "from", "to", "by", "news") || mine) shown("band", askBand);
  else band.show(band.data, about, news);
  const other = state.kind === "maps" && heads.data && heads.data.unit > 1 && has("layer", "head");
  if (has("env", "step", "kind") || other) shown("heads", askHeads);
  else if (has("layer", "head", "scale")) heads.draw();
}

function go(to, leap = false) {
  change({ step: Math.max(0, Math.min(news.committed - 1, to)) }, leap);
}

/** Keys of the whole page: steps, episodes, ends, and all steps again. */
function key(event) {
  if (!news || !news.committed || event.altKey || event.ctrlKey || event.metaKey) return;
  if (/^(SELECT|INPUT)$/.test(event.target.tagName)) return;
  const far = about.horizon || 10;
  const moves = { ArrowLeft: event.shiftKey ? -10 : -1, ArrowRight: event.shiftKey ? 10 : 1, PageUp: -far, PageDown: far };
  if (event.key in moves) go(step() + moves[event.key]);
  else if (event.key === "Home") go(0);
  else if (event.key === "End") go(news.committed - 1);
  else if (event.key === "Escape") change({ from: -1, to: -1 }, true);
  else return;
  event.preventDefault();
}

function wire() {
  el("env").addEventListener("change", (event) => change({ env: Number(event.target.value) }, true));
  el("step").addEventListener("input", (event) => go(Number(event.target.value)));
  el("number").addEventListener("change", (event) => go(Number(event.target.value) || 0, true));
  el("back").addEventListener("click", () => go(step() - 1));
  el("on").addEventListener("click", () => go(step() + 1));
  el("whole").addEventListener("click", () => change({ from: -1, to: -1 }, true));
  for (const choice of document.querySelectorAll("[data-choice]")) {
    choice.addEventListener("change", () => change({ [choice.dataset.choice]: choice.value }, true));
  }
  wireTaking(el, () => ({ about, data: heads.data }));
  addEventListener("keydown", key);
  new ResizeObserver(() => redraw()).observe(el("main"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  onChange(render);
}

function redraw() {
  band.draw();
  heads.draw();
}

/** Take what does not change, once something is committed. */
async function meet() {
  about = await json("/api/about");
  el("title").textContent = about.title;
  document.title = `${about.title} · attnscope`;
  el("source").textContent = [about.source, ...about.unsaid.map((one) => `unknown: ${one}`)].join("; ");
  el("env").replaceChildren(...about.envs.map((label, place) => new Option(label, String(place))));
  state.env = Math.min(state.env, about.envs.length - 1);
  state.layer = Math.min(state.layer, about.layers.length - 1);
  state.head = Math.min(state.head, about.heads.length - 1);
  if (!about.rows) state.kind = "maps";
  heads.build(about);
  offer();
}

/** Offer the steps whose maps are stored, where no service can replay the others. */
function offer() {
  const label = document.createElement("span");
  label.textContent = about.mapSteps.length ? "Stored maps: step" : "No map is stored.";
  const steps = about.mapSteps.slice(0, MOST_OFFERED).map((one) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: String(one) });
    button.addEventListener("click", () => go(one, true));
    return button;
  });
  el("stored").replaceChildren(label, ...steps);
}

/** Return what the news change: the overview at a commit, the heads where their step moved; both where they failed. */
function due(seen, before) {
  const changed = new Set();
  if (!seen.startsWith(`${news.committed}.`) || !el("band-note").hidden) changed.add("news");
  if (step() !== before || !heads.data) changed.add("step");
  return changed;
}

/** Ask how the job is, for ever; a question is held until something is other than it was. */
async function watch() {
  let seen = "";
  for (;;) {
    try {
      const answer = await json("/api/news", { seen });
      const before = news && step(); // the step may have been changed while the question was held
      news = answer;
      banner(news.lost ? `The service does not answer; what was fetched stays. ${news.lost}` : "");
      el("state").textContent = news.words;
      el("state").dataset.state = news.state;
      if (news.committed && !about) await meet();
      el("waiting").hidden = Boolean(news.committed);
      el("main").hidden = !news.committed;
      if (news.mark !== seen) render(due(seen, before));
      seen = news.mark;
      document.body.dataset.committed = String(news.committed);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      banner(error.message);
      if (error.status === UNAUTHORIZED) await renew();
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
    while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  }
}

async function start() {
  const entered = await enter();
  if (!entered) return banner("This browser has no access: the link works once, within a minute. Run attnscope open again for another.");
  follow();
  wire();
  await watch();
}

start().catch((error) => {
  banner(`This page failed: ${error.message}. Load it again.`);
  throw error;
});
