// Slots, ages and transitions of a context: `about` says how tokens stand in it, `frame` where it begins.

/** Return the transition in a slot; −1 of a latent, which stands for all before `frame.start`. */
export function transitionOf(about, frame, slot) {
  const latents = frame.summaries || 0;
  if (about.queryFirst && slot === 0) return frame.step;
  if (slot < latents) return -1;
  return frame.start + Math.floor((about.queryFirst ? slot - 1 : slot - latents) / about.tokens);
}

/** Return what the latents at the front of a context stand for, in words. */
export function summaryWords(frame) {
  return `summary of transitions 0–${frame.start - 1}, generation ${frame.generation}`;
}

/** Return the first slot of a transition. */
export function slotOf(about, frame, transition) {
  return (transition - frame.start) * about.tokens + (about.queryFirst ? 1 : frame.summaries || 0);
}

/** Return the age of a slot in tokens; the query itself has 0. */
export function ageOfSlot(about, length, slot) {
  if (!about.queryFirst) return length - 1 - slot;
  return slot === 0 ? 0 : length - slot;
}

/** Return the slot of an age; −1 where the context is shorter. */
export function slotOfAge(about, length, age) {
  if (age >= length || age < 0) return -1;
  if (!about.queryFirst) return length - 1 - age;
  return age === 0 ? 0 : length - age;
}

/** Return how many tokens the query in a bin of a map sees. */
export function seenBy(about, frame, query) {
  if (about.queryFirst || !about.causal) return frame.length;
  return Math.min(frame.length, (query + 1) * frame.unit);
}

/** Return the first and the last whole transition of the context besides the query. */
export function transitionsOf(about, frame) {
  const last = frame.start + Math.floor((frame.length - 1 - (frame.summaries || 0)) / about.tokens) - (about.queryFirst ? 1 : 0);
  return [frame.start, Math.max(frame.start, last)];
}
