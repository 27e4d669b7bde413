// Transitions of one environment, asked for in blocks and kept.

const BLOCK = 512;

/** Transitions of a capture, by environment and step. */
export class Transitions {
  constructor(shared) {
    Object.assign(this, { shared, blocks: new Map() });
  }

  block(first) {
    const { env, news, source } = this.shared;
    const last = Math.min(first + BLOCK, news.committed);
    const key = `${env}.${first}.${last}`;
    if (!this.blocks.has(key)) {
      const asked = source.ask("rollout", { env, first, last });
      this.blocks.set(key, asked);
      asked.catch(() => this.blocks.delete(key));
    }
    return this.blocks.get(key);
  }

  /** Return a promise of a transition's fields; of null where it is not committed. */
  async at(transition) {
    const [found] = await this.between(transition, transition + 1);
    return found || null;
  }

  /** Return a promise of the fields of the transitions from `first` to before `last`, as far as they are committed. */
  async between(first, last) {
    const end = Math.min(last, this.shared.news.committed);
    const found = [];
    for (let at = Math.floor(Math.max(0, first) / BLOCK) * BLOCK; at < end; at += BLOCK) {
      const block = await this.block(at);
      for (let one = Math.max(first, block.first); one < Math.min(end, block.last); one++) {
        const fields = Object.entries(block).map(([name, all]) => [name, name === "wide" ? all : Array.isArray(all) ? all[one - block.first] : null]);
        found.push({ ...Object.fromEntries(fields), transition: one });
      }
    }
    return found;
  }
}
