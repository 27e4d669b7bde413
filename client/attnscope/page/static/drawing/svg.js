// A pen that writes SVG: as much of a canvas's pen as the page's pictures use.

const SPACE = "http://www.w3.org/2000/svg";
const ALIGNED = { left: "start", center: "middle", right: "end" };
const BASED = { top: "hanging", middle: "central", alphabetic: "auto" };
const STATE = ["fillStyle", "strokeStyle", "lineWidth", "globalAlpha", "textAlign", "textBaseline", "font", "dash", "moved", "group"];

const short = (value) => String(Math.round(value * 100) / 100);

/** Writes what is drawn with it as elements of an SVG document. */
export class SvgPen {
  constructor(width, height, ground) {
    Object.assign(this, { fillStyle: "#000", strokeStyle: "#000", lineWidth: 1, globalAlpha: 1, textAlign: "left" });
    Object.assign(this, { textBaseline: "alphabetic", font: "12px system-ui, sans-serif", dash: "", moved: "", path: "" });
    this.root = this.made("svg", { xmlns: SPACE, viewBox: `0 0 ${width} ${height}`, width, height });
    this.root.append(this.made("rect", { width, height, fill: ground }));
    this.group = this.root;
    this.kept = [];
    this.clips = 0;
    this.ruler = new OffscreenCanvas(1, 1).getContext("2d");
  }

  made(name, given) {
    const element = document.createElementNS(SPACE, name);
    for (const [key, value] of Object.entries(given)) if (value !== "") element.setAttribute(key, String(value));
    return element;
  }

  add(name, given) {
    const alpha = this.globalAlpha < 1 ? this.globalAlpha : "";
    const element = this.made(name, { ...given, opacity: alpha, transform: this.moved });
    this.group.append(element);
    return element;
  }

  save() {
    this.kept.push(Object.fromEntries(STATE.map((name) => [name, this[name]])));
  }

  restore() {
    Object.assign(this, this.kept.pop());
  }

  translate(x, y) {
    this.moved += `translate(${short(x)} ${short(y)})`;
  }

  rotate(angle) {
    this.moved += `rotate(${short((angle * 180) / Math.PI)})`;
  }

  setLineDash(parts) {
    this.dash = parts.join(" ");
  }

  measureText(text) {
    this.ruler.font = this.font;
    return this.ruler.measureText(text);
  }

  beginPath() {
    this.path = "";
  }

  moveTo(x, y) {
    this.path += `M${short(x)} ${short(y)}`;
  }

  lineTo(x, y) {
    this.path += `${this.path ? "L" : "M"}${short(x)} ${short(y)}`;
  }

  rect(x, y, w, h) {
    this.path += `M${short(x)} ${short(y)}h${short(w)}v${short(h)}h${short(-w)}z`;
  }

  /** Add a whole circle; parts of one are not drawn by the page. */
  arc(x, y, radius) {
    const [from, across] = [`M${short(x - radius)} ${short(y)}`, short(2 * radius)];
    this.path += `${from}a${radius} ${radius} 0 1 0 ${across} 0a${radius} ${radius} 0 1 0 -${across} 0`;
  }

  clip() {
    const id = `clip${(this.clips += 1)}`;
    const mask = this.made("clipPath", { id });
    mask.append(this.made("path", { d: this.path }));
    const inside = this.made("g", { "clip-path": `url(#${id})` });
    this.group.append(mask, inside);
    this.group = inside;
  }

  stroke() {
    this.add("path", { d: this.path, fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth, "stroke-dasharray": this.dash });
  }

  fill() {
    this.add("path", { d: this.path, fill: this.fillStyle });
  }

  fillRect(x, y, w, h) {
    this.add("rect", { x: short(x), y: short(y), width: short(w), height: short(h), fill: this.fillStyle });
  }

  strokeRect(x, y, w, h) {
    const line = { fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth, "stroke-dasharray": this.dash };
    this.add("rect", { x: short(x), y: short(y), width: short(w), height: short(h), ...line });
  }

  fillText(text, x, y) {
    const [size, ...family] = this.font.split(" ");
    const place = { "text-anchor": ALIGNED[this.textAlign], "dominant-baseline": BASED[this.textBaseline] };
    const letters = { "font-size": size, "font-family": family.join(" "), fill: this.fillStyle };
    this.add("text", { x: short(x), y: short(y), ...place, ...letters }).textContent = text;
  }

  drawImage(image, x, y, w, h) {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: image.width, height: image.height });
    canvas.getContext("2d").drawImage(image, 0, 0);
    const size = { x: short(x), y: short(y), width: short(w), height: short(h) };
    this.add("image", { ...size, href: canvas.toDataURL(), preserveAspectRatio: "none", "image-rendering": "pixelated" });
  }

  /** Return the document. */
  document() {
    return new XMLSerializer().serializeToString(this.root);
  }
}
