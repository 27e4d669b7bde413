// A transition in words: its episode and step, state, action and reward, its age, its weight and its lift.

import { json } from "./api.js";
import { state } from "./state.js";

const BLOCK = 512;
const blocks = new Map();

/** Return the fields of a transition, perhaps after a question; null where it is not committed. */
async function fields(transition, committed) {
  const first = Math.floor(transition / BLOCK) * BLOCK;
  const last = Math.min(first + BLOCK, committed);
  if (transition >= last) return null;
  const key = `${state.env}.${first}.${last}`;
  if (!blocks.has(key)) blocks.set(key, json("/api/rollout", { env: state.env, first, last }));
  try {
    const block = await blocks.get(key);
    const at = transition - block.first;
    return Object.fromEntries(Object.entries(block).map(([name, all]) => [name, Array.isArray(all) ? all[at] : null]));
  } catch (error) {
    blocks.delete(key);
    throw error;
  }
}

const number = (value) => (value === null ? "unknown" : String(Number(value.toPrecision(4))));

function happened(found) {
  if (!found) return "";
  const parts = [];
  if (Array.isArray(found.observation)) parts.push(`state (${found.observation.map(number).join(", ")})`);
  else if (found.observation !== null) parts.push(`state ${number(found.observation)}`);
  if (found.action !== null) parts.push(`action ${number(found.action)}`);
  if (found.reward !== null) parts.push(`reward ${number(found.reward)}`);
  if (found.terminated > 0 || found.truncated > 0) parts.push("the episode ends");
  return parts.join(", ");
}

/** Return a weight and how many times uniform attention it is. */
function weightWords(weight, seen) {
  if (Number.isNaN(weight)) return "masked";
  return `weight ${weight.toPrecision(2)}, ${(weight * seen).toPrecision(2)} × uniform`;
}

/** Return what is under the cursor in words. */
export async function sentence(told, about, committed) {
  const who = told.of === "mean" ? "all heads on average" : `layer ${about.layers[state.layer]}, head ${about.heads[state.head]}`;
  if (told.transition === undefined) return `Step ${told.step}.`;
  if (told.transition === null) return `Step ${told.step}: before its context begins.`;
  const found = await fields(told.transition, committed);
  const query = told.query ?? told.step;
  const back = query - told.transition;
  const decides = told.transition === told.step;
  const episode = found && found.episode !== null ? `, episode ${found.episode}` : "";
  const name = decides ? "the query itself" : `transition ${told.transition}`;
  const age = back > 0 ? `, ${back} before the query` : "";
  const what = happened(decides && found ? { ...found, action: null, reward: null, terminated: 0, truncated: 0 } : found);
  const few = told.unit > 1 ? ` (mean of ${told.unit} × ${told.unit})` : "";
  return `Step ${told.step}${told.query !== undefined ? `, query ${told.query}` : ""}: ${name}${age}${episode}${what ? ` — ${what}` : ""}. ${who}: ${weightWords(told.weight, told.seen)}${few}.`;
}
