// Questions about a capture, wherever the answers come from: a server, bytes in a file, or a notebook's kernel.

/**
 * @typedef {object} Source
 * @property {(question: string, asked?: object, signal?: AbortSignal) => Promise<object>} ask
 *   an answer by the names of docs/page-design.md; weights are `shades`, a Uint8Array of the shape `shape`
 * @property {boolean} still  true where nothing new ever comes
 */

/** An answer that says why there is no view. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Return a frame of a length, JSON and one byte a weight. */
export function frameOf(content) {
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
