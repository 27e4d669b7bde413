// Questions to the page's own server: JSON, and frames of JSON with one byte a weight behind it.

import { headers } from "./session.js";
import { state } from "./state.js";

/** An answer that says why there is no view. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const AWAY = "The program that serves this page has ended. Run attnscope open again in a terminal.";

async function ask(path, asked, signal, body) {
  const query = new URLSearchParams({ at: state.at, ...asked });
  let answer, said;
  try {
    answer = await fetch(`${path}?${query}`, { headers: headers(), signal });
    said = await (answer.ok ? answer[body]() : answer.json());
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(AWAY, 0);
  }
  if (answer.ok) return said;
  throw new Refused(said.error, answer.status);
}

/** Return the JSON answer to a question. */
export const json = (path, asked = {}, signal = undefined) => ask(path, asked, signal, "json");

/** Return a frame: its numbers, and `shades`, one byte a weight. */
export async function frame(path, asked = {}, signal = undefined) {
  const content = await ask(path, asked, signal, "arrayBuffer");
  const length = new DataView(content).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 4, length)));
  return { ...head, shades: new Uint8Array(content, 4 + length) };
}

/** Return a function that keeps only the newest of its questions alive: an older answer never overwrites a newer one. */
export function newest(work) {
  let running = new AbortController();
  return async (...given) => {
    running.abort();
    const mine = (running = new AbortController());
    try {
      return await work(mine.signal, ...given);
    } catch (error) {
      if (mine.signal.aborted) return undefined;
      throw error;
    }
  };
}
