// The offline report: the page's panes over what is embedded in the file.

import { EmbeddedSource } from "./embedded.js";
import { Mounted } from "./mount.js";
import { AnswerPane } from "./panes/answer.js";
import { Latents } from "./panes/latents.js";
import { View } from "./view.js";

const el = (name) => document.getElementById(name);

/** Show why the pictures are not there, above their place. */
function fail(error) {
  el("failed").hidden = false;
  el("failed").textContent = `The pictures cannot be shown: ${error.message}. The text and the figures of this file are whole.`;
  throw error;
}

try {
  const content = JSON.parse(el("capture").textContent);
  const source = new EmbeddedSource(content);
  const answer = (shared) => [new AnswerPane(shared, { lead: false })];
  const mounted = new Mounted(el("attention"), source, new View({ env: content.answers.about.held[0] }), { above: answer, head: false, latents: () => Latents, name: "Attention by step" });
  el("answer").append(...mounted.above.map((pane) => pane.element));
  document.body.append(mounted.page.querySelector("footer")); // its sentence stays in sight beside every picture
} catch (error) {
  fail(error);
}
