// The page's own server as a source of answers.

import { headers, renew } from "./session.js";
import { frameOf, Refused } from "./source.js";

const UNAUTHORIZED = 401;
const AWAY = "The program that serves this page has ended. Run attnscope open again in a terminal.";

/** Return an answer of the page's server: an object, with `shades` where it holds weights. */
export async function asked(path, query, signal) {
  let answer, said;
  try {
    answer = await fetch(`${path}?${new URLSearchParams(query)}`, { headers: headers(), signal });
    const bytes = answer.headers.get("Content-Type") === "application/octet-stream";
    said = await (bytes ? answer.arrayBuffer() : answer.json());
    if (bytes) said = frameOf(said);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(AWAY, 0);
  }
  if (answer.ok) return said;
  if (answer.status === UNAUTHORIZED) await renew();
  throw new Refused(said.error, answer.status);
}

/** A capture of the page's server, by its name in addresses. */
export class LiveSource {
  constructor(at) {
    this.at = at;
    this.still = false;
  }

  /** Return the answer to a question about the capture. */
  ask(question, given = {}, signal = undefined) {
    return asked(`/api/${question}`, { at: this.at, ...given }, signal);
  }
}
