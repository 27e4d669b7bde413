// What the panes of one capture share: its source, the view, how far it is, and the decision row of the step.

/** One capture on the page. */
export class Shared {
  constructor(source, view) {
    Object.assign(this, { source, view, about: null, news: null, decision: null, why: "", metrics: null, tell: () => {}, root: null });
  }

  get values() {
    return this.view.values;
  }

  /** The step that is shown, a committed one. */
  get step() {
    const { step } = this.values;
    return Math.max(0, Math.min(step < 0 ? Infinity : step, this.news.committed - 1));
  }

  /** The place of the environment. */
  get env() {
    return this.values.env;
  }

  /** The places of layer and head, as far as this capture has them. */
  get head() {
    const { layers, heads } = this.about;
    return [Math.min(this.values.layer, layers.length - 1), Math.min(this.values.head, heads.length - 1)];
  }

  /** The name of the chosen head: layer.head. */
  get headName() {
    const [layer, head] = this.head;
    return `${this.about.layers[layer]}.${this.about.heads[head]}`;
  }

  /** Return whether something is committed, so that there is a view. */
  get there() {
    return Boolean(this.about && this.news && this.news.committed);
  }

  /** Ask for the decision rows of the step; where there are none, `why` says so. */
  async decide(signal) {
    try {
      const found = await this.source.ask("heads", { env: this.env, step: this.step, kind: "rows" }, signal);
      Object.assign(this, { decision: found, why: "" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (error.status === undefined) throw error;
      Object.assign(this, { decision: null, why: error.message });
    }
  }

  /** Go to a step, moved into what is committed. */
  go(to, leap = false) {
    this.view.change({ step: Math.max(0, Math.min(this.news.committed - 1, to)) }, leap);
  }
}
