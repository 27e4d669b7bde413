// What a reader takes along of a picture: the Python line that gives its numbers, the picture as PNG or SVG.

import { h } from "./dom.js";

const TOLD_MS = 2500;

/** Save bytes as a file of the reader's. */
function save(content, name) {
  const link = h("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Copy a text; a browser that gives no clipboard shows it instead. */
export async function copied(text, what, say) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied`);
  } catch {
    say(text);
  }
}

/** Buttons below a picture; `taken` returns `{picture, python, name}`, or null where nothing is shown. */
export class Taking {
  constructor(taken, ids = {}) {
    const button = (id, text, does) => h("button", { id, type: "button", onclick: () => does(taken()) }, text);
    this.told = h("span", { role: "status", id: ids.told });
    this.element = h(
      "div",
      { class: "controls take" },
      button(ids.python, "copy Python", (found) => found && found.python && copied(found.python, "Python", (text) => this.say(text))),
      button(ids.png, "save PNG", async (found) => found && save(await found.picture.png(), `${found.name}.png`)),
      button(ids.svg, "save SVG", (found) => found && this.svg(found)),
      this.told,
    );
  }

  svg({ picture, name }) {
    save(new Blob([picture.svg()], { type: "image/svg+xml" }), `${name}.svg`);
  }

  say(text) {
    this.told.textContent = text;
    setTimeout(() => (this.told.textContent = ""), TOLD_MS);
  }
}
