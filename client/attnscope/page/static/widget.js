// A notebook's cell: the page in a shadow root, its questions as messages to the kernel.

import { Mounted } from "./mount.js";
import { AnswerPane } from "./panes/answer.js";
import { Latents } from "./panes/latents.js";
import { Refused } from "./source.js";
import { View } from "./view.js";

const AGAIN_MS = 2000;
const PATIENCE_MS = 15000;
const LONG_MS = 600000; // for influence, which runs the policy once a transition
const ASLEEP = "The kernel does not answer: it is busy, or this notebook was opened without one. The page asks again.";

/** A kernel as a source of answers: each question has a number, which its answer repeats. */
export class KernelSource {
  constructor(model, awake = () => {}) {
    this.model = model;
    this.awake = awake; // called at the first answer
    this.still = false;
    this.asked = new Map();
    this.number = 0;
    this.hear = (content, buffers) => this.answered(content, buffers);
    model.on("msg:custom", this.hear);
  }

  /** Hear nothing any more. */
  end() {
    this.model.off("msg:custom", this.hear);
  }

  answered({ number, answer, refused }, buffers) {
    this.awake();
    this.awake = () => {};
    const waiting = this.asked.get(number);
    if (!waiting) return;
    this.asked.delete(number);
    clearTimeout(waiting.late);
    if (refused !== undefined) return waiting.reject(new Refused(refused, 404));
    const [shades] = buffers || [];
    if (shades) answer.shades = shades instanceof ArrayBuffer ? new Uint8Array(shades) : new Uint8Array(shades.buffer, shades.byteOffset, shades.byteLength);
    waiting.resolve(answer);
  }

  /** Return the answer to one question. */
  once(question, asked, signal) {
    return new Promise((resolve, reject) => {
      const number = (this.number += 1);
      const fail = (error) => {
        clearTimeout(late);
        this.asked.delete(number);
        reject(error);
      };
      const late = setTimeout(() => fail(new Refused(ASLEEP, 0)), question === "influence" ? LONG_MS : PATIENCE_MS);
      if (signal) signal.addEventListener("abort", () => fail(new DOMException("a newer question was asked", "AbortError")), { once: true });
      this.asked.set(number, { resolve, reject, late });
      this.model.send({ number, question, asked });
    });
  }

  /** Return the answer to a question; news are asked for until there are any, because a kernel holds no question. */
  async ask(question, asked = {}, signal = undefined) {
    for (;;) {
      const answer = await this.once(question, asked, signal);
      if (question !== "news" || !asked.seen || answer.mark !== asked.seen) return answer;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      if (signal && signal.aborted) throw new DOMException("the page has ended", "AbortError");
    }
  }
}

/** Hide the picture that a saved notebook shows in place of the page, once the kernel answers. */
function hideStill(el) {
  const area = el.closest(".jp-OutputArea, .output_area, .output");
  const still = area && area.querySelector(".jp-RenderedImage, .output_png");
  const output = still && still.closest(".jp-OutputArea-child, .output_png");
  if (output) output.style.display = "none";
}

/** Show the page in a cell's output; return a function that ends it. */
export function render({ model, el }) {
  const host = document.createElement("div");
  host.className = "attnscope-look";
  host.dataset.lmSuppressShortcuts = "true"; // the notebook's own keys rest while this has the focus
  host.style.cssText = `display: block; height: ${model.get("height")}px; overflow: auto; border: 1px solid #8884;`;
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(model.get("style_text"));
  root.adoptedStyleSheets = [sheet];
  el.append(host);
  const source = new KernelSource(model, () => hideStill(el));
  const mounted = new Mounted(root, source, new View(model.get("view")), { name: "attnscope", latents: () => Latents, above: (shared) => [new AnswerPane(shared)] });
  return () => {
    mounted.end();
    source.end();
  };
}
