// A map of thousands of tokens. Zooming and dragging redraw at once what is here; the server is then asked for the part on
// screen at the screen's grain, and the picture gets sharper when it comes.
const LEFT = 86; // room for labels, in CSS pixels
const BELOW = 78;
const LARGEST_SIDE = 640;
const LEAST = 8; // tokens each way at most zoom
const CLOSE = 48; // tokens each way that a click on a cell goes to
const LABEL = 10; // pixels a token needs for its label
const KEPT = 8; // tiles of one picture
const SETTLE = 80; // milliseconds without a movement until the server is asked
const STUCK = 4000; // milliseconds after which an answer is no longer waited for

function button(text, title, testid) {
  const node = element("button", "", testid);
  node.type = "button";
  node.textContent = text;
  node.title = title;
  node.setAttribute("aria-label", title);
  return node;
}

function skeleton(root) {
  const box = element("div", "box", "deep-map");
  const bar = element("div", "bar");
  const buttons = element("span", "buttons");
  const zoomIn = button("+", "Zoom in", "zoom-in");
  const zoomOut = button("−", "Zoom out", "zoom-out");
  const whole = button("Whole map", "Show the whole map", "zoom-whole");
  buttons.append(zoomIn, zoomOut, whole);
  const legend = element("span", "legend");
  const [low, scale, high] = [element("span"), element("span", "scale"), element("span")];
  legend.append(low, scale, high);
  const says = element("span", "says", "deep-says");
  bar.append(buttons, legend, says);
  const stage = element("div", "stage", "deep-stage");
  stage.tabIndex = 0;
  stage.setAttribute("role", "application");
  const [under, over] = [element("canvas"), element("canvas", "over")];
  stage.append(under, over);
  const caption = element("p", "caption", "deep-caption");
  caption.setAttribute("aria-live", "polite");
  box.append(bar, stage, caption);
  root.append(box);
  return { box, zoomIn, zoomOut, whole, low, scale, high, says, stage, under, over, caption };
}

function numbers(bytes, shape) {
  const count = shape[0] * shape[1];
  const out = new Uint16Array(count);
  for (let i = 0; i < count; i++) out[i] = bytes[i] | (bytes[count + i] << 8);
  return out;
}

async function unpackTile(meta, arrays, name) {
  const { part, cell, shape } = meta[name];
  const plane = async (which) => {
    const packed = arrays[`${name}_${which}`];
    return packed ? numbers(await inflate(packed.array), shape) : null;
  };
  const [values, query, key, largest] = await Promise.all(["values", "query", "key", "largest"].map(plane));
  return { part, cell, shape, values, query, key, largest, image: null };
}

// Colours as 32-bit pixels in the machine's byte order, one a code; forbidden cells stay transparent.
function pixelsOf(lut, places) {
  const colours = new Uint32Array(places.length);
  const bytes = new Uint8Array(colours.buffer);
  for (let code = 1; code < places.length; code++) {
    const i = 3 * places[code];
    bytes.set([lut[i], lut[i + 1], lut[i + 2], 255], 4 * code);
  }
  return colours;
}

function imageOf(s, tile) {
  if (tile.image) return tile.image;
  const [rows, cols] = tile.shape;
  const canvas = document.createElement("canvas");
  canvas.width = cols;
  canvas.height = rows;
  const image = new ImageData(cols, rows);
  const out = new Uint32Array(image.data.buffer);
  for (let i = 0; i < tile.values.length; i++) out[i] = s.pixels[tile.values[i]];
  drawingOn(canvas).putImageData(image, 0, 0);
  return (tile.image = canvas);
}

const sizeOf = (view) => view[1] - view[0];

// A square part inside the map.
function inside(s, view) {
  const size = Math.min(Math.max(sizeOf(view), Math.min(LEAST, s.length)), s.length);
  const start = (at) => Math.min(Math.max(at, 0), s.length - size);
  const [q0, k0] = [start(view[0]), start(view[2])];
  return [q0, q0 + size, k0, k0 + size];
}

function x(s, key) {
  return LEFT + ((key - s.view[2]) / sizeOf(s.view)) * s.side;
}

function y(s, query) {
  return ((query - s.view[0]) / sizeOf(s.view)) * s.side;
}

function measure(s) {
  const width = s.ui.stage.clientWidth;
  if (!width) return false;
  const side = Math.max(120, Math.min(LARGEST_SIDE, width - LEFT - 6));
  const ratio = window.devicePixelRatio || 1;
  if (s.side === side && s.ratio === ratio && s.width === width) return true;
  Object.assign(s, { side, ratio, width });
  s.ui.stage.style.height = side + BELOW + "px";
  for (const canvas of [s.ui.under, s.ui.over]) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round((side + BELOW) * ratio);
  }
  return true;
}

function clean(s, canvas) {
  const context = canvas.getContext("2d");
  context.setTransform(s.ratio, 0, 0, s.ratio, 0, 0);
  context.clearRect(0, 0, s.width, s.side + BELOW);
  return context;
}

function themed(s) {
  const theme = getComputedStyle(s.root.host || s.root);
  const of = (name, otherwise) => theme.getPropertyValue(name).trim() || otherwise;
  return {
    ink: of("--st-text-color", "#222"), ground: of("--st-background-color", "#fff"),
    line: of("--st-border-color", "#ccc"), primary: of("--st-primary-color", "#0072b2"), font: of("--st-font", "sans-serif"),
  };
}

function drawTile(s, context, tile, box) {
  const [q0, , k0] = tile.part;
  const [rows, cols] = tile.shape;
  const scale = box ? box.side / s.length : s.side / sizeOf(s.view);
  const left = box ? box.left + k0 * scale : x(s, k0);
  const top = box ? box.top + q0 * scale : y(s, q0);
  // Finer than the screen: neighbours are mixed; coarser: cells stay crisp.
  context.imageSmoothingEnabled = tile.cell * scale * s.ratio < 1;
  context.drawImage(imageOf(s, tile), left, top, cols * tile.cell * scale, rows * tile.cell * scale);
}

function paint(s) {
  if (!s.overview || !measure(s)) return;
  const context = clean(s, s.ui.under);
  const look = themed(s);
  context.save();
  context.beginPath();
  context.rect(LEFT, 0, s.side, s.side);
  context.clip();
  for (const tile of [s.overview, ...s.tiles].sort((a, b) => b.cell - a.cell)) drawTile(s, context, tile);
  context.restore();
  context.strokeStyle = look.line;
  context.strokeRect(LEFT + 0.5, 0.5, s.side - 1, s.side - 1);
  drawAxes(s, context, look);
  drawInset(s, context, look);
  paintOver(s);
  const sharp = sharpest(s);
  s.ui.says.textContent = sharp.cell === 1 ? "a cell: one token looking at one token" : s.says.replaceAll("{n}", sharp.cell);
  s.ui.stage.dataset.cell = sharp.cell;
  s.ui.stage.dataset.view = s.view.map((at) => Math.round(at)).join(".");
  s.ui.stage.dataset.sharp = s.waiting || s.timer ? "0" : "1";
  s.ui.stage.dataset.picture = s.picture;
  s.ui.zoomIn.disabled = sizeOf(s.view) <= Math.min(LEAST, s.length);
  s.ui.zoomOut.disabled = s.ui.whole.disabled = sizeOf(s.view) >= s.length;
}

// The finest tile at the middle of the screen.
function sharpest(s) {
  return tileAt(s, (s.view[0] + s.view[1]) / 2, (s.view[2] + s.view[3]) / 2);
}

function tileAt(s, query, key) {
  const covers = ({ part }) => query >= part[0] && query < part[1] && key >= part[2] && key < part[3];
  return s.tiles.filter(covers).sort((a, b) => a.cell - b.cell)[0] || s.overview;
}

// Steps of 1, 2 or 5 times a power of ten.
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least) || 10 * power;
}

function drawAxes(s, context, look) {
  const pixels = s.side / sizeOf(s.view);
  context.fillStyle = look.ink;
  context.font = `11px ${look.font}`;
  const labelled = pixels >= LABEL;
  const step = labelled ? 1 : niceStep(Math.max(1, (labelled ? 1 : 46) / pixels));
  const each = (start, stop, draw) => {
    for (let at = Math.ceil(start / step) * step; at < stop; at += step) draw(at);
  };
  const text = (at) => (labelled ? shown(s, at, 12) : at.toLocaleString("en"));
  context.textBaseline = "middle";
  context.textAlign = "right";
  each(Math.floor(s.view[0]), s.view[1], (at) => {
    const top = y(s, at + 0.5);
    if (top >= 4 && top <= s.side - 2) context.fillText(text(at), LEFT - 5, top, LEFT - 7);
  });
  each(Math.floor(s.view[2]), s.view[3], (at) => {
    const left = x(s, at + 0.5);
    if (left < LEFT + 3 || left > LEFT + s.side - 3) return;
    context.save();
    context.translate(left, s.side + 5);
    if (labelled) context.rotate(-Math.PI / 2);
    context.textAlign = labelled ? "right" : "center";
    context.textBaseline = labelled ? "middle" : "top";
    context.fillText(text(at), 0, 0, BELOW - 8);
    context.restore();
  });
  if (labelled) return;
  context.globalAlpha = 0.7;
  context.textAlign = "center";
  context.fillText("key: the token looked at", LEFT + s.side / 2, s.side + 30);
  context.save();
  context.translate(12, s.side / 2);
  context.rotate(-Math.PI / 2);
  context.fillText("query: the token that looks", 0, 0);
  context.restore();
  context.globalAlpha = 1;
}

function shown(s, at, most) {
  const text = visible((s.labels[at] ?? "").trim() || (s.labels[at] ?? ""));
  return text.length > most ? text.slice(0, most - 1) + "…" : text;
}

// The whole map small, in the corner that labels leave free.
function insetBox(s) {
  return { left: 14, top: s.side + 10, side: Math.min(LEFT, BELOW) - 16 };
}

function drawInset(s, context, look) {
  const box = insetBox(s);
  drawTile(s, context, s.overview, box);
  context.strokeStyle = look.line;
  context.strokeRect(box.left - 0.5, box.top - 0.5, box.side + 1, box.side + 1);
  if (sizeOf(s.view) >= s.length) return;
  const scale = box.side / s.length;
  const size = Math.max(4, sizeOf(s.view) * scale);
  context.strokeStyle = look.primary;
  context.lineWidth = 2;
  context.strokeRect(box.left + s.view[2] * scale - 1, box.top + s.view[0] * scale - 1, size + 2, size + 2);
  context.lineWidth = 1;
}

function outline(s, context, part, colour, dashed) {
  const [q0, q1, k0, k1] = part;
  const grow = Math.max(0, (7 - x(s, k1) + x(s, k0)) / 2);
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.setLineDash(dashed ? [3, 3] : []);
  context.strokeRect(x(s, k0) - grow, y(s, q0) - grow, x(s, k1) - x(s, k0) + 2 * grow, y(s, q1) - y(s, q0) + 2 * grow);
  context.setLineDash([]);
}

function paintOver(s) {
  const context = clean(s, s.ui.over);
  const look = themed(s);
  context.save();
  context.beginPath();
  context.rect(LEFT, 0, s.side, s.side);
  context.clip();
  const line = (at, horizontal) => {
    context.strokeStyle = look.primary;
    context.globalAlpha = 0.7;
    context.lineWidth = 1;
    context.beginPath();
    if (horizontal) context.rect(LEFT, y(s, at + 0.5), s.side, 0);
    else context.rect(x(s, at + 0.5), 0, 0, s.side);
    context.stroke();
    context.globalAlpha = 1;
  };
  if (s.remote.query !== null) line(s.remote.query, true);
  if (s.remote.key !== null) line(s.remote.key, false);
  const [query, key] = s.picked;
  if (query !== null && key !== null) outline(s, context, [query, query + 1, key, key + 1], look.primary, false);
  else if (query !== null) line(query, true);
  if (s.hover) outline(s, context, s.hover.part, look.ink, s.hover.tile.cell > 1);
  if (s.band) outline(s, context, s.band, look.ink, true);
  context.restore();
}

// The cell under the pointer: its part of the map, its code, and its strongest pair.
function cellAt(s, query, key) {
  const tile = tileAt(s, query, key);
  const [rows, cols] = tile.shape;
  const row = Math.floor((query - tile.part[0]) / tile.cell);
  const col = Math.floor((key - tile.part[2]) / tile.cell);
  if (row < 0 || col < 0 || row >= rows || col >= cols) return null;
  const at = row * cols + col;
  const [q0, k0] = [tile.part[0] + row * tile.cell, tile.part[2] + col * tile.cell];
  const part = [q0, Math.min(q0 + tile.cell, s.length), k0, Math.min(k0 + tile.cell, s.length)];
  const known = tile.cell === 1 || tile.query !== null;
  const pair = known ? [q0 + (tile.query ? tile.query[at] : 0), k0 + (tile.key ? tile.key[at] : 0)] : null;
  return { tile, part, code: tile.values[at], pair, largest: tile.largest ? tile.largest[at] : tile.values[at] };
}

function place(s, event) {
  const box = s.ui.stage.getBoundingClientRect();
  const [left, top] = [event.clientX - box.left, event.clientY - box.top];
  const onMap = left >= LEFT && left < LEFT + s.side && top >= 0 && top < s.side;
  const scale = sizeOf(s.view) / s.side;
  return { left, top, onMap, query: s.view[0] + top * scale, key: s.view[2] + (left - LEFT) * scale };
}

function word(s, at) {
  const name = element("b");
  name.dir = "auto";
  name.textContent = shown(s, at, 24);
  const number = element("small");
  number.textContent = ` #${at}`;
  return [name, number];
}

function sayCell(s, cell) {
  const { caption } = s.ui;
  if (!cell) return caption.replaceChildren(s.hint);
  if (!cell.code) return caption.replaceChildren("Nothing here may be looked at: these tokens come later.");
  const [q0, q1, k0, k1] = cell.part;
  const pair = cell.pair ? [...word(s, cell.pair[0]), " looks at ", ...word(s, cell.pair[1]), `: ${weightText(cell.largest)}`] : [];
  if (cell.tile.cell === 1) return caption.replaceChildren(...pair);
  const range = (from, to) => (to - from > 1 ? `${from} to ${to - 1}` : `${from}`);
  const here = `Tokens ${range(q0, q1)} at tokens ${range(k0, k1)}: ${weightText(cell.code)}`;
  caption.replaceChildren(here, ...(pair.length ? ["; strongest: ", ...pair] : []), ".");
}

function setHover(s, cell) {
  const same = (a, b) => a && b && a.tile === b.tile && a.part.join() === b.part.join();
  if (cell === s.hover || same(cell, s.hover)) return;
  s.hover = cell;
  sayCell(s, cell);
  sendHover(s.source, cell?.code && cell.pair ? cell.pair[0] : null, cell?.code && cell.pair ? cell.pair[1] : null);
  paintOver(s);
}

// Moves at once, asks the server when the movement has come to rest.
function moveTo(s, view) {
  s.view = inside(s, view);
  clearTimeout(s.timer);
  s.timer = setTimeout(() => {
    s.timer = 0;
    ask(s, null);
  }, SETTLE);
  s.request();
}

function asked(s) {
  const whole = s.view.map(Math.round);
  // Whole tokens, as many each way.
  const size = Math.max(1, whole[1] - whole[0]);
  const start = (at) => Math.min(whole[at], s.length - size);
  return [start(0), start(0) + size, start(2), start(2) + size];
}

function ask(s, pair) {
  if (s.waiting && !pair && performance.now() - s.waiting < STUCK) {
    s.again = true; // one question at a time: the newest is asked when the answer is in
    return;
  }
  s.again = false;
  s.sent += 1;
  s.waiting = performance.now();
  s.ui.stage.dataset.sharp = "0";
  s.pick({ number: s.sent, view: asked(s), pair: pair ? { query: pair[0], key: pair[1] } : null });
}

function zoom(s, factor, query, key) {
  const [q0, q1, k0] = s.view;
  const size = Math.min(Math.max((q1 - q0) * factor, Math.min(LEAST, s.length)), s.length);
  const real = size / (q1 - q0);
  const start = (at, from) => at - (at - from) * real;
  moveTo(s, [start(query, q0), start(query, q0) + size, start(key, k0), start(key, k0) + size]);
}

function zoomMiddle(s, factor) {
  zoom(s, factor, (s.view[0] + s.view[1]) / 2, (s.view[2] + s.view[3]) / 2);
}

function pan(s, down, across) {
  moveTo(s, [s.view[0] + down, s.view[1] + down, s.view[2] + across, s.view[3] + across]);
}

// To the pair, close enough to read the words; where they are read already the pair is only picked.
function go(s, cell) {
  if (!cell?.code || !cell.pair) return;
  s.picked = cell.pair;
  if (cell.tile.cell > 1) {
    const size = Math.min(CLOSE, s.length);
    const [q0, k0] = cell.pair.map((at) => at - Math.floor(size / 2));
    s.view = inside(s, [q0, q0 + size, k0, k0 + size]);
    clearTimeout(s.timer);
    s.timer = 0;
    setHover(s, null);
  }
  ask(s, cell.pair);
  s.request();
}

function strongestOnScreen(s) {
  const tile = sharpest(s);
  let best = -1;
  tile.values.forEach((code, i) => {
    if (best < 0 || code > tile.values[best]) best = i;
  });
  const cols = tile.shape[1];
  return cellAt(s, tile.part[0] + Math.floor(best / cols) * tile.cell, tile.part[2] + (best % cols) * tile.cell);
}

function onKey(s, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = sizeOf(s.view) / 8;
  const moves = {
    ArrowUp: () => pan(s, -step, 0), ArrowDown: () => pan(s, step, 0), ArrowLeft: () => pan(s, 0, -step),
    ArrowRight: () => pan(s, 0, step), "+": () => zoomMiddle(s, 0.5), "=": () => zoomMiddle(s, 0.5),
    "-": () => zoomMiddle(s, 2), 0: () => moveTo(s, [0, s.length, 0, s.length]),
    Escape: () => moveTo(s, [0, s.length, 0, s.length]), Enter: () => go(s, strongestOnScreen(s)),
  };
  if (!(event.key in moves)) return;
  moves[event.key]();
  event.preventDefault();
}

function listen(s) {
  const { stage, zoomIn, zoomOut, whole } = s.ui;
  zoomIn.addEventListener("click", () => zoomMiddle(s, 0.5));
  zoomOut.addEventListener("click", () => zoomMiddle(s, 2));
  whole.addEventListener("click", () => moveTo(s, [0, s.length, 0, s.length]));
  stage.addEventListener("keydown", (event) => onKey(s, event));
  stage.addEventListener(
    "wheel",
    (event) => {
      const at = place(s, event);
      if (!at.onMap || !s.overview) return;
      event.preventDefault();
      zoom(s, Math.exp(Math.max(-120, Math.min(120, event.deltaY)) * 0.004), at.query, at.key);
    },
    { passive: false },
  );
  stage.addEventListener("pointerdown", (event) => pressed(s, event));
  stage.addEventListener("pointermove", (event) => moved(s, event));
  stage.addEventListener("pointerup", (event) => released(s, event));
  stage.addEventListener("pointercancel", (event) => released(s, event));
  stage.addEventListener("pointerleave", () => s.fingers.size || setHover(s, null));
}

function pressed(s, event) {
  if (!s.overview || event.button) return;
  s.fingers.set(event.pointerId, event);
  s.ui.stage.setPointerCapture(event.pointerId);
  s.press = { at: place(s, event), view: s.view, moved: false, band: event.shiftKey };
  if (!s.press.at.onMap) toInset(s, s.press.at);
}

function toInset(s, { left, top }) {
  const box = insetBox(s);
  const [query, key] = [((top - box.top) / box.side) * s.length, ((left - box.left) / box.side) * s.length];
  if (query < 0 || key < 0 || query > s.length || key > s.length) return;
  const half = sizeOf(s.view) / 2;
  moveTo(s, [query - half, query + half, key - half, key + half]);
}

function moved(s, event) {
  if (!s.overview) return;
  const at = place(s, event);
  if (!s.fingers.has(event.pointerId)) return setHover(s, at.onMap ? cellAt(s, at.query, at.key) : null);
  const before = s.fingers.get(event.pointerId);
  s.fingers.set(event.pointerId, event);
  if (s.fingers.size === 2) return pinch(s, event, before);
  const { press } = s;
  const [right, down] = [at.left - press.at.left, at.top - press.at.top];
  if (!press.moved && Math.hypot(right, down) < 4) return;
  press.moved = true;
  if (!press.at.onMap) return toInset(s, at);
  if (press.band) return drawBand(s, at);
  s.ui.stage.classList.add("dragging");
  setHover(s, null);
  const scale = sizeOf(press.view) / s.side;
  const [q0, q1, k0, k1] = press.view;
  moveTo(s, [q0 - down * scale, q1 - down * scale, k0 - right * scale, k1 - right * scale]);
}

function pinch(s, event, before) {
  const [one, other] = [...s.fingers.values()].filter((each) => each.pointerId !== event.pointerId).concat(event);
  const distance = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
  s.press.moved = true;
  const middle = { clientX: (one.clientX + other.clientX) / 2, clientY: (one.clientY + other.clientY) / 2 };
  const at = place(s, middle);
  zoom(s, distance(one, before) / distance(one, other), at.query, at.key);
}

// Shift and drag: a square to zoom to.
function drawBand(s, at) {
  const { query, key } = s.press.at;
  const size = Math.max(Math.abs(at.query - query), Math.abs(at.key - key));
  const q0 = at.query < query ? query - size : query;
  const k0 = at.key < key ? key - size : key;
  s.band = [q0, q0 + size, k0, k0 + size];
  paintOver(s);
}

function released(s, event) {
  if (!s.fingers.delete(event.pointerId)) return;
  s.ui.stage.classList.remove("dragging");
  const { press, band } = s;
  if (s.fingers.size) return;
  s.band = null;
  if (band && event.type === "pointerup") return moveTo(s, band);
  if (!press.moved && event.type === "pointerup" && press.at.onMap) go(s, cellAt(s, press.at.query, press.at.key));
}

function setColours(s, lut, colours) {
  const signature = colours + lut.join();
  if (signature === s.signature) return;
  s.signature = signature;
  s.pixels = pixelsOf(lut, rampPlaces(colours));
  for (const tile of s.tiles) tile.image = null;
  if (s.overview) s.overview.image = null;
  const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((i) => `rgb(${lut[3 * i]} ${lut[3 * i + 1]} ${lut[3 * i + 2]})`);
  s.ui.scale.style.background = `linear-gradient(90deg, ${stops.join()})`;
  s.ui.low.textContent = colours === "log" ? `≤ ${LOWEST}` : "0";
  s.ui.high.textContent = "1";
}

async function update(s, { meta, arrays }) {
  const turn = ++s.updates;
  const [tile, overview, labels] = await Promise.all([
    unpackTile(meta, arrays, "tile"), meta.overview ? unpackTile(meta, arrays, "overview") : null, inflate(arrays.labels.array),
  ]);
  if (turn !== s.updates) return; // newer numbers came while these were unpacked
  const another = meta.picture !== s.picture;
  const first = s.sent < meta.number; // this part was built anew within a session
  Object.assign(s, { picture: meta.picture, length: meta.length, says: meta.says });
  s.labels = JSON.parse(new TextDecoder().decode(labels));
  setColours(s, arrays.lut.array, meta.colours);
  s.tiles = another ? [tile] : [tile, ...s.tiles.filter((each) => each.part.join() + each.cell !== tile.part.join() + tile.cell)];
  s.tiles.length = Math.min(s.tiles.length, KEPT);
  s.overview = overview || tile;
  const answered = meta.number >= s.sent;
  s.sent = Math.max(s.sent, meta.number);
  if (answered) {
    s.waiting = 0;
    s.picked = meta.picked;
    const busy = s.timer || s.again || s.fingers.size;
    // Not what was asked for: the visitor went back, or opened another link.
    if (!s.view || first || (!busy && asked(s).join() !== meta.view.join())) s.view = [...meta.view];
    if (s.again) ask(s, null);
  }
  s.view = inside(s, s.view || meta.view);
  s.hover = null;
  s.ui.stage.setAttribute("aria-label", `${meta.alt} Arrow keys move, plus and minus zoom, Enter goes to the strongest pair.`);
  sayCell(s, null);
  s.request.cancel();
  paint(s);
}

export default component("deep_map", (root, source) => {
  /** @type {State} */
  const s = {
    root, source, ui: skeleton(root), tiles: [], overview: null, view: null, picture: null, labels: [], picked: [null, null],
    remote: { query: null, key: null }, hover: null, band: null, fingers: new Map(), sent: 0, updates: 0, waiting: 0,
    timer: 0, again: false, says: "",
    hint: "Wheel or pinch to zoom, drag to move, click a cell to go to its strongest pair.",
  };
  s.request = oncePerFrame(() => paint(s));
  listen(s);
  const resized = new ResizeObserver(() => s.request());
  resized.observe(s.ui.stage);
  const stop = onHover(source, (query, key) => {
    s.remote = { query, key };
    if (s.overview && s.side) paintOver(s);
  });
  s.update = (data) => update(s, data);
  s.destroy = () => {
    stop();
    resized.disconnect();
    clearTimeout(s.timer);
    s.request.cancel();
    s.ui.box.remove();
  };
  return s;
});
