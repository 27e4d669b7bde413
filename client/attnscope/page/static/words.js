// A transition in words: its episode and step, state, action and reward, its age, its weight and its lift.

/** Return a number as people read it; what is not known says so. */
export const number = (value) => (value === null || value === undefined ? "unknown" : String(Number(value.toPrecision(4))));

/** Return a state or an action in words: a number, several of them, or how many there are where they are too many. */
export function numbersWords(value, sizes = undefined) {
  if (value === null && sizes) return `of ${sizes.join(" × ")} numbers`;
  return Array.isArray(value) ? `(${value.map((one) => numbersWords(one)).join(", ")})` : number(value);
}

/** Return a transition's state in words. */
export const stateWords = (found) => numbersWords(found.observation, (found.wide || {}).observation);

/** Return a transition's action in words. */
export const actionWords = (found) => numbersWords(found.action, (found.wide || {}).action);

function happened(found) {
  if (!found) return "";
  const parts = [];
  const wide = found.wide || {};
  if (found.observation !== null || wide.observation) parts.push(`state ${stateWords(found)}`);
  if (found.action !== null || (wide.action && !found.ahead)) parts.push(`action ${actionWords(found)}`);
  if (found.reward !== null) parts.push(`reward ${number(found.reward)}`);
  if (found.terminated > 0 || found.truncated > 0) parts.push("the episode ends");
  return parts.join(", ");
}

/** Return a weight and how many times uniform attention it is. */
export function weightWords(weight, seen) {
  if (Number.isNaN(weight)) return "masked";
  return `weight ${weight.toPrecision(2)}, ${(weight * seen).toPrecision(2)} × uniform`;
}

/** Return a promise of the words for what is under the cursor. */
export async function sentence(told, shared, transitions) {
  const { about } = shared;
  const [layer, head] = shared.head;
  const who = told.of === "mean" ? "all heads on average" : `layer ${about.layers[layer]}, head ${about.heads[head]}`;
  if (told.transition === undefined) return `Step ${told.step}.`;
  if (told.transition === null) return `Step ${told.step}: before its context begins.`;
  if (told.transition < 0) return `Step ${told.step}: a latent, ${told.packed || "summary of all transitions before the newest compression"}.`;
  const found = await transitions.at(told.transition);
  const query = told.query ?? told.step;
  const back = query - told.transition;
  const decides = told.transition === told.step;
  const episode = found && found.episode !== null ? `, episode ${found.episode}` : "";
  const name = decides ? "the query itself" : `transition ${told.transition}`;
  const age = back > 0 ? `, ${back} before the query` : "";
  const what = happened(decides && found ? { ...found, ahead: true, action: null, reward: null, terminated: 0, truncated: 0 } : found);
  const square = told.query === undefined ? "tokens" : `× ${told.unit}`;
  const few = told.unit > 1 ? ` (mean of ${told.unit} ${square})` : "";
  return `Step ${told.step}${told.query !== undefined ? `, query ${told.query}` : ""}: ${name}${age}${episode}${what ? ` — ${what}` : ""}. ${who}: ${weightWords(told.weight, told.seen)}${few}.`;
}
