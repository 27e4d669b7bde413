// A picture on a canvas, which can be taken along as PNG or SVG.

import { begin, theme } from "./axes.js";
import { SvgPen } from "./svg.js";

/** A picture; a subclass says its `height` at a width, and how to `paint` it with any pen. */
export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
  }

  /** Draw it on its canvas, as wide as the place of that; where nothing is seen of the place, it has no width. */
  draw() {
    if (!this.canvas.isConnected || !this.canvas.parentElement.clientWidth) return;
    const width = Math.max(120, Math.floor(this.canvas.parentElement.clientWidth));
    const { pen } = begin(this.canvas, width, this.height(width));
    this.paint(pen, width, theme(this.canvas));
  }

  /** Return it as an SVG document, in the size and the colours that it has now. */
  svg() {
    const width = Math.max(120, Math.floor(this.canvas.parentElement.clientWidth));
    const colours = theme(this.canvas);
    const pen = new SvgPen(width, this.height(width), colours.panel);
    this.paint(pen, width, colours);
    return pen.document();
  }

  /** Return a promise of it as a PNG file, on the colour that it lies on. */
  png() {
    const whole = new OffscreenCanvas(this.canvas.width, this.canvas.height);
    const pen = whole.getContext("2d");
    pen.fillStyle = theme(this.canvas).panel;
    pen.fillRect(0, 0, whole.width, whole.height);
    pen.drawImage(this.canvas, 0, 0);
    return whole.convertToBlob({ type: "image/png" });
  }
}
