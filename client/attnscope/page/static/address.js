// The view in the address: it can be linked, and the back button works.

import { valuesOf } from "./view.js";

const LATER_MS = 1000;

/** Keep a view in the address from now on; take it from there whenever the reader goes back or pastes another. */
export function keepInAddress(view) {
  let later = 0;
  Object.assign(view.values, valuesOf(location.hash.slice(1)));
  const write = (leap) => {
    clearTimeout(later);
    const text = `#${view.text()}`;
    if (text === location.hash) return;
    try {
      history[leap ? "pushState" : "replaceState"](null, "", text);
    } catch {
      later = setTimeout(write, LATER_MS, false); // browsers bound how often the address is written
    }
  };
  view.keep = write;
  addEventListener("popstate", () => {
    clearTimeout(later);
    if (new URLSearchParams(location.hash.slice(1)).has("code")) location.reload(); // a link loads anew
    else view.take(valuesOf(location.hash.slice(1)));
  });
}
