// The answer: the sentence of a decision, its ladder, and the screen that ordered the rules; it grows while they run.

import { Curves } from "../answer/curves.js";
import { Departures } from "../answer/departures.js";
import { Ladder } from "../answer/ladder.js";
import { h } from "../dom.js";
import { Pane } from "../pane.js";

const SHOWN = 4; // sentences beside a screen that are not folded
const RUNNING = "A decision is on its way. Its screen, its looks and its answer appear here.";
const NOTHING = "No decision and no screen of this policy is known here.";

/** A part with a heading of its own; hidden while there is nothing in it. */
const part = (title, ...children) => h("div", { class: "part" }, h("h3", {}, title), ...children);

/** Sentences as a list: the first ones, and the others folded. */
function known(sentences) {
  const list = (some) => h("ul", {}, ...some.map((one) => h("li", {}, one)));
  const more = sentences.slice(SHOWN);
  const folded = more.length ? [h("details", {}, h("summary", {}, `${more.length} more`), list(more))] : [];
  return [list(sentences.slice(0, SHOWN)), ...folded];
}

/** A table of words and texts. */
function facts(pairs) {
  return h("table", { class: "facts" }, h("tbody", {}, ...pairs.map(([word, text]) => h("tr", {}, h("th", { scope: "row" }, word), h("td", {}, text)))));
}

/** Shows a decision and a screen; without `lead` it leaves the sentence to whoever said it above. */
export class AnswerPane extends Pane {
  constructor(shared, { lead = true } = {}) {
    super(shared, "answer", lead ? "What may it forget?" : "The evidence");
    this.lead = lead;
    const tell = (words) => shared.tell(words);
    this.seen = undefined;
    this.sentence = h("p", { class: "sentence", "aria-live": "polite" });
    this.lines = h("ol", { class: "lines" });
    this.commands = h("div", { class: "commands" });
    this.ladder = new Ladder(tell);
    this.curves = new Curves(tell);
    this.map = new Departures(tell, (rule) => this.curves.choose(rule));
    this.scope = h("p", { class: "hint" });
    this.subject = h("p", { class: "hint" });
    this.said = h("div", { class: "said" });
    this.card = h("details", {}, h("summary", {}, "The whole card"));
    this.judged = part("Judged by rollouts, rung by rung", this.scope, this.ladder.element);
    this.screened = part("Screened: departures by rule and history kept", this.subject, this.map.element, this.said);
    this.drawn = part("Departure against tokens kept", this.curves.element);
    this.sentence.hidden = this.commands.hidden = !lead;
    this.body.append(this.sentence, this.lines, this.commands, this.judged, this.card, h("div", { class: "evidence" }, this.screened, this.drawn));
    this.show({ decision: null, screen: null, commands: [], running: false });
  }

  /** Ask again where the news say that the decision or the screen grew. */
  update(changed) {
    const { news } = this.shared;
    if (!news || !(changed.has("news") || this.seen === undefined)) return;
    const seen = `${news.answer}.${news.committed > 0}`; // the commands that are offered name what is committed
    if (this.seen === seen) return;
    this.seen = seen;
    this.busy(async (signal) => {
      this.show(await this.shared.source.ask("answer", {}, signal));
      this.refuse("");
    }).then((done) => {
      if (!done) this.seen = undefined; // a question that was refused is asked again at the next news
    });
  }

  show({ decision, screen, commands, running }) {
    this.element.hidden = !this.lead && decision === null && screen === null;
    const answered = decision !== null && decision.sentence !== null;
    this.sentence.textContent = answered ? decision.sentence : decision !== null ? "No answer yet." : screen !== null ? "Screened, not decided." : running ? RUNNING : NOTHING;
    this.lines.replaceChildren(...(decision !== null && !answered ? decision.lines : []).map((one) => h("li", {}, one)));
    this.commands.replaceChildren(...commands.map(([what, command]) => h("p", {}, `${what}: `, h("code", {}, command))));
    this.showDecision(decision);
    this.showScreen(screen);
  }

  showDecision(decision) {
    const judged = decision !== null && decision.ladder.length > 0;
    this.judged.hidden = !judged;
    this.card.hidden = decision === null;
    if (decision === null) return;
    this.scope.textContent = `${decision.scope[0].toUpperCase()}${decision.scope.slice(1)}. Above the dashed border an arm is as good as no compression, within the margin. Bars: repeated intervals. Below, the score: green, non-inferior above; orange, inferior below.`;
    const raced = decision.raced.length ? [this.raced(decision.raced)] : [];
    const paste = decision.paste === null ? [] : [h("p", {}, "For your own loop:"), h("pre", { tabindex: "0" }, decision.paste)];
    const again = h("p", { class: "hint" }, "Again: ", h("code", {}, decision.command));
    this.card.replaceChildren(h("summary", {}, "The whole card"), facts(decision.facts), ...raced, ...paste, again);
    if (judged) this.ladder.show(decision);
  }

  /** The arms that raced, as a table. */
  raced(arms) {
    const head = h("tr", {}, ...["raced", "tokens kept", "departs an episode"].map((one) => h("th", { scope: "col" }, one)));
    const rows = arms.map((arm) =>
      h("tr", { class: arm.chosen ? "chosen" : null }, h("th", { scope: "row" }, arm.name), h("td", {}, String(arm.tokens)), h("td", {}, arm.departs === null ? "–" : arm.departs.toFixed(2))),
    );
    return h("div", { class: "wide", tabindex: "0" }, h("table", { class: "raced" }, h("thead", {}, head), h("tbody", {}, ...rows)));
  }

  showScreen(screen) {
    const mapped = screen !== null && screen.maps.length > 0;
    this.screened.hidden = screen === null;
    this.drawn.hidden = !mapped || screen.curves.rules.length === 0;
    if (screen === null) return;
    const [done, all] = screen.rollouts || [0, 0];
    const grows = done < all ? `${done} of ${all} rollouts so far. ` : "";
    this.subject.textContent = `${grows}${screen.subject} ${screen.words}`;
    this.said.replaceChildren(...known(screen.said));
    this.map.show(screen);
    if (!this.drawn.hidden) this.curves.show({ ...screen.curves, measure: screen.measure });
  }

  draw() {
    this.ladder.draw();
    this.map.draw();
    this.curves.draw();
  }
}
