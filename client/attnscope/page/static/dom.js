// Elements from names, attributes and children. A text becomes a text node, never markup.

/** Return an element; attributes that are false or null are left out, those that begin with "on" are listeners. */
export function h(name, given = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/** Return a select within its label; `options` are pairs of value and text. */
export function selecting(text, options, given) {
  return h("label", {}, `${text} `, h("select", given, ...options.map(([value, name]) => new Option(name, value))));
}

/** Return a canvas that is a picture for a screen reader, in the place that it fills. */
export function drawing(given) {
  return h("div", { class: "plot" }, h("canvas", { role: "img", ...given }));
}
