// What a reader takes along: the link, the Python line that gives the array, the large picture as PNG.

import { theme } from "./axes.js";
import { state } from "./state.js";

const TOLD_MS = 2500;

/** Return the Python line that gives what the large picture shows. */
function python(about, data) {
  const head = `layer=${state.layer}, head=${state.head}`;
  if (data.shape.length === 4) return `${about.python}.map(${data.step}, ${head}, env=${state.env})`;
  return `${about.python}.rows[${data.entry}, ${state.env}, ${state.layer}, ${state.head}, :${data.length}]`;
}

/** Save a canvas as a file, on the colour that it lies on. */
function save(canvas, name) {
  const whole = new OffscreenCanvas(canvas.width, canvas.height);
  const pen = whole.getContext("2d");
  pen.fillStyle = theme().panel;
  pen.fillRect(0, 0, whole.width, whole.height);
  pen.drawImage(canvas, 0, 0);
  whole.convertToBlob({ type: "image/png" }).then((content) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

/** Wire the three buttons; `shown` returns what is shown, or null. */
export function wireTaking(el, shown) {
  const say = (text) => {
    el("taken").textContent = text;
    setTimeout(() => (el("taken").textContent = ""), TOLD_MS);
  };
  const copy = async (text, what) => {
    try {
      await navigator.clipboard.writeText(text);
      say(`${what} copied`);
    } catch {
      say(text); // a browser that gives no clipboard shows the text instead
    }
  };
  el("copy-link").addEventListener("click", () => copy(location.href, "link"));
  el("copy-python").addEventListener("click", () => {
    const { about, data } = shown();
    if (data) copy(python(about, data), "Python");
  });
  el("save-png").addEventListener("click", () => {
    const { data } = shown();
    if (data) save(el("focus"), `attention-step${data.step}-layer${state.layer}-head${state.head}.png`);
  });
}
