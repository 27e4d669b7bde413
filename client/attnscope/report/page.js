"use strict";
// Text from the capture reaches the page through textContent only.
const data = JSON.parse(document.getElementById("data").textContent);
const ABSENT = 255;
const lut = bytes(data.colours);
const state = { map: 0, layer: 0, head: 0, shared: true, query: null, key: null };
const el = (id) => document.getElementById(id);

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

async function inflate(text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const weight = (byte) => (byte === ABSENT ? NaN : (byte / 254) ** 2);
const top8 = (values) => values.reduce((most, v) => (v !== ABSENT && v > most ? v : most), 1);

function paint(canvas, values, width, height, most, flip = false) {
  const small = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const v = values[y * width + x];
      const at = 4 * ((flip ? height - 1 - y : y) * width + x);
      const colour = 3 * Math.min(255, Math.round((255 * v) / most));
      if (v === ABSENT) image.data.set([236, 236, 236, 255], at);
      else image.data.set([lut[colour], lut[colour + 1], lut[colour + 2], 255], at);
    }
  }
  small.getContext("2d").putImageData(image, 0, 0);
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = false;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(small, 0, 0, canvas.width, canvas.height);
  return pen;
}

function headMap(map, layer, head) {
  const size = map.n * map.n;
  const first = (layer * data.heads.length + head) * size;
  return map.values.subarray(first, first + size);
}

function drawMap() {
  const map = data.maps[state.map];
  if (!map) return;
  const values = headMap(map, state.layer, state.head);
  const most = state.shared ? map.top : top8(values);
  const canvas = el("map");
  const pen = paint(canvas, values, map.n, map.n, most);
  const cell = canvas.width / map.n;
  pen.strokeStyle = "rgba(255,255,255,0.55)";
  pen.lineWidth = 1;
  for (const slot of map.boundaries) {
    pen.strokeRect(slot * cell, -2, canvas.width, canvas.height + 4);
    pen.strokeRect(-2, slot * cell, canvas.width + 4, canvas.height);
  }
  if (state.query !== null) {
    pen.strokeStyle = "#d55e00";
    pen.lineWidth = 2;
    pen.strokeRect(state.key * cell - 1, state.query * cell - 1, cell + 2, cell + 2);
  }
  el("top").textContent = weight(most).toPrecision(2);
}

function drawHeads() {
  const map = data.maps[state.map];
  for (const button of document.querySelectorAll(".heads button")) {
    const [layer, head] = [Number(button.dataset.layer), Number(button.dataset.head)];
    const chosen = layer === state.layer && head === state.head;
    button.setAttribute("aria-checked", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
    if (map) {
      const values = headMap(map, layer, head);
      paint(button.firstChild, values, map.n, map.n, state.shared ? map.top : top8(values));
    }
  }
}

function headRows() {
  const { steps, slots, values } = data.rows;
  const out = new Uint8Array(steps.length * slots);
  for (let s = 0; s < steps.length; s++) {
    const first = ((s * data.layers.length + state.layer) * data.heads.length + state.head) * slots;
    for (let k = 0; k < slots; k++) out[k * steps.length + s] = values[first + k];
  }
  return out;
}

function drawTime() {
  const canvas = el("time");
  if (!data.rows || !canvas) return;
  const values = headRows();
  const sorted = values.filter((v) => v !== ABSENT).sort();
  const pen = paint(canvas, values, data.rows.steps.length, data.rows.slots, sorted[Math.floor(sorted.length * 0.998)] || 1, true);
  cursor(pen, canvas);
}

const across = (step, canvas) => ((step + 0.5) / data.steps) * canvas.width;

function cursor(pen, canvas) {
  const map = data.maps[state.map];
  if (!map) return;
  pen.strokeStyle = "#d55e00";
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(across(map.step, canvas), 0);
  pen.lineTo(across(map.step, canvas), canvas.height);
  pen.stroke();
}

function drawReturns() {
  const canvas = el("returns");
  if (!canvas) return;
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const most = Math.max(1, ...data.returns, data.optimal || 0);
  const up = (value) => canvas.height - 14 - (value / most) * (canvas.height - 24);
  pen.fillStyle = "#d55e00";
  for (const step of data.rewards) pen.fillRect(across(step, canvas), canvas.height - 8, Math.max(1, canvas.width / data.steps), 8);
  pen.strokeStyle = "#0072b2";
  pen.lineWidth = 2;
  pen.beginPath();
  data.returns.forEach((value, episode) => {
    const x = across(data.ends[episode], canvas);
    if (episode) pen.lineTo(x, up(value));
    else pen.moveTo(x, up(value));
  });
  pen.stroke();
  if (data.optimal !== null) {
    pen.strokeStyle = "#777";
    pen.lineWidth = 1;
    pen.setLineDash([6, 5]);
    pen.strokeRect(-2, up(data.optimal), canvas.width + 4, canvas.height);
    pen.setLineDash([]);
  }
  cursor(pen, canvas);
}

function slotName(map, slot) {
  const first = slot * map.unit;
  const transition = map.start + Math.floor(first / data.tokens);
  if (map.unit > 1) return `slots ${first} to ${Math.min(map.tokens, first + map.unit) - 1} (from transition ${transition})`;
  return slot === map.n - 1 && data.queryLast ? `slot ${slot} (the query)` : `slot ${slot} (transition ${transition})`;
}

function say(text) {
  el("readout").textContent = text;
}

function sayCell() {
  const map = data.maps[state.map];
  if (!map || state.query === null) return;
  const w = weight(headMap(map, state.layer, state.head)[state.query * map.n + state.key]);
  const seen = data.causal ? Math.min(map.tokens, (state.query + 1) * map.unit) : map.tokens;
  const cell = `Step ${map.step}, layer ${data.layers[state.layer]}, head ${data.heads[state.head]}: query ${slotName(map, state.query)} → key ${slotName(map, state.key)}`;
  if (Number.isNaN(w)) return say(`${cell}: masked`);
  say(`${cell}: weight ${w.toPrecision(3)}, ${(w * seen).toPrecision(2)} × uniform`);
}

function show() {
  const map = data.maps[state.map];
  if (map) {
    state.query = state.query === null ? null : Math.min(state.query, map.n - 1);
    state.key = state.key === null ? null : Math.min(state.key, map.n - 1);
    el("step").value = String(state.map);
    el("stepname").textContent = `${map.step} of ${data.steps}`;
    el("step").setAttribute("aria-valuetext", `step ${map.step}`);
  }
  drawMap();
  drawHeads();
  drawTime();
  drawReturns();
  sayCell();
}

function pick(layer, head, focus) {
  state.layer = (layer + data.layers.length) % data.layers.length;
  state.head = (head + data.heads.length) % data.heads.length;
  show();
  if (focus) document.querySelector('.heads button[aria-checked="true"]').focus();
}

function place(event, canvas, columns, rows) {
  const box = canvas.getBoundingClientRect();
  const at = (part, count) => Math.min(count - 1, Math.max(0, Math.floor(part * count)));
  return [at((event.clientX - box.left) / box.width, columns), at((event.clientY - box.top) / box.height, rows)];
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function wire() {
  const grid = document.querySelector(".heads");
  grid.style.gridTemplateColumns = `repeat(${data.heads.length}, minmax(44px, 1fr))`;
  data.layers.forEach((layer, row) => data.heads.forEach((head, column) => {
    const button = document.createElement("button");
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 120;
    button.append(canvas, `${layer}.${head}`);
    button.setAttribute("role", "radio");
    button.setAttribute("aria-label", `layer ${layer}, head ${head}`);
    Object.assign(button.dataset, { layer: row, head: column });
    button.addEventListener("click", () => pick(row, column, false));
    grid.append(button);
  }));
  grid.addEventListener("keydown", (event) => {
    const move = ARROWS[event.key];
    if (!move) return;
    event.preventDefault();
    pick(state.layer + move[1], state.head + move[0], true);
  });
  el("shared").addEventListener("change", (event) => { state.shared = event.target.checked; show(); });
  paint(el("ramp"), Uint8Array.from({ length: 150 }, (_, x) => Math.round((254 * x) / 149)), 150, 1, 254);
  if (data.maps.length) {
    el("step").max = String(data.maps.length - 1);
    el("step").addEventListener("input", (event) => { state.map = Number(event.target.value); show(); });
    const canvas = el("map");
    canvas.addEventListener("mousemove", (event) => {
      const n = data.maps[state.map].n;
      [state.key, state.query] = place(event, canvas, n, n);
      drawMap();
      sayCell();
    });
    canvas.addEventListener("keydown", (event) => {
      const move = ARROWS[event.key];
      if (!move) return;
      event.preventDefault();
      const n = data.maps[state.map].n;
      if (state.query === null) [state.key, state.query] = [n - 1, n - 1];
      else [state.key, state.query] = [state.key + move[0], state.query + move[1]].map((v) => Math.min(n - 1, Math.max(0, v)));
      drawMap();
      sayCell();
    });
  }
  for (const canvas of [el("time"), el("returns")].filter(Boolean)) {
    canvas.addEventListener("click", (event) => {
      const [step] = place(event, canvas, data.steps, 1);
      const far = (map) => Math.abs(map.step - step);
      if (data.maps.length) state.map = data.maps.reduce((best, map, i) => (far(map) < far(data.maps[best]) ? i : best), 0);
      show();
    });
  }
  const time = el("time");
  if (data.rows && time) time.addEventListener("mousemove", (event) => {
    const { steps, slots, lengths, starts, values } = data.rows;
    const [column, row] = place(event, time, steps.length, slots);
    const slot = slots - 1 - row;
    const w = weight(values[((column * data.layers.length + state.layer) * data.heads.length + state.head) * slots + slot]);
    const where = `Step ${steps[column]}, slot ${slot}`;
    if (Number.isNaN(w)) say(`${where}: past the context of ${lengths[column]} tokens`);
    else say(`${where}, transition ${starts[column] + Math.floor(slot / data.tokens)}: weight ${w.toPrecision(3)}, ${(w * lengths[column]).toPrecision(2)} × uniform`);
  });
}

function hideMasked(map) {
  map.values.forEach((v, i) => {
    if (v === 0 && i % map.n > Math.floor(i / map.n) % map.n) map.values[i] = ABSENT;
  });
}

async function start() {
  for (const map of data.maps) {
    map.values = await inflate(map.data);
    map.top = top8(map.values);
    if (data.causal) hideMasked(map);
  }
  if (data.rows) data.rows.values = await inflate(data.rows.data);
  wire();
  show();
  document.body.dataset.ready = "true";
}

start();
