// Statistics of a decision row as a capture stores them, from the bytes that are drawn, so to about two digits.

import { weightOf } from "./drawing/scale.js";

const sum = (values) => values.reduce((all, one) => all + one, 0);

/** Return by name the statistics of one row, its sum set to 1; a recency is named by its window. */
export function statisticsOf(about, shades, windows) {
  const drawn = Array.from(shades, weightOf);
  const total = sum(drawn.map((one) => one || 0)) || 1;
  const row = drawn.map((one) => (one || 0) / total);
  const others = about.queryFirst ? row.slice(1) : row.slice(0, -1);
  return {
    max: Math.max(...row),
    self: about.queryFirst ? row[0] : row[row.length - 1],
    sink: row[0],
    entropy: -sum(row.map((one) => (one ? one * Math.log(one) : 0))),
    effective: 1 / sum(row.map((one) => one * one)),
    ...Object.fromEntries(windows.map((window) => [`recency ${window}`, sum(others.slice(-window))])),
  };
}

/** Return the average ranks of numbers. */
function ranks(values) {
  const order = values.map((_, at) => at).sort((one, other) => values[one] - values[other]);
  const found = [];
  for (let at = 0; at < order.length; ) {
    let end = at;
    while (end < order.length && values[order[end]] === values[order[at]]) end++;
    for (let one = at; one < end; one++) found[order[one]] = (at + end - 1) / 2;
    at = end;
  }
  return found;
}

/** Return the rank correlation of two lines; null where one of them does not vary. */
export function rankCorrelation(left, right) {
  const [one, other] = [left, right].map((values) => {
    const found = ranks(values);
    return found.map((rank) => rank - (found.length - 1) / 2);
  });
  const dot = (a, b) => sum(a.map((value, at) => value * b[at]));
  const size = Math.sqrt(dot(one, one) * dot(other, other));
  return size ? dot(one, other) / size : null;
}

/** Return the shares of one head's attention that is not on the query, a transition each. */
export function sharesOf(about, shades) {
  const row = Array.from(shades, (byte) => weightOf(byte) || 0);
  const history = about.queryFirst ? row.slice(1) : row.slice(0, -1);
  const sums = new Array(Math.floor(history.length / about.tokens)).fill(0);
  sums.forEach((_, at) => (sums[at] = sum(history.slice(at * about.tokens, (at + 1) * about.tokens))));
  const total = sum(sums) || 1;
  return sums.map((one) => one / total);
}
