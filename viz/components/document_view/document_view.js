// A document of thousands of tokens: its lines are broken here, and only those in sight are in the page.
const LINE = 26; // pixels, as in the style
const SPARE = 12; // lines above and below those in sight
const PADDING = 8;
const TOP = 6; // places named above the text

function skeleton(root) {
  const box = element("div", "box", "document");
  const caption = element("p", "caption", "document-caption");
  caption.setAttribute("aria-live", "polite");
  const places = element("div", "places", "document-places");
  const pane = element("div", "pane");
  const scroller = element("div", "scroller", "document-text");
  scroller.tabIndex = 0;
  scroller.setAttribute("role", "application");
  scroller.setAttribute("aria-label", "The document. Arrow keys move from word to word, Enter shows where a word looks.");
  const sheet = element("div", "sheet");
  const minimap = element("canvas", "minimap", "document-minimap");
  minimap.setAttribute("role", "img");
  minimap.setAttribute("aria-label", "The whole document from top to bottom; dark where the weights are");
  scroller.append(sheet);
  pane.append(scroller, minimap);
  box.append(caption, places, pane);
  root.append(box);
  return { box, caption, places, scroller, sheet, minimap };
}

// Light or dark ink, whichever reads better on each colour of the ramp.
function rampOf(lut) {
  const fill = [], ink = [];
  for (let i = 0; i < 256; i++) {
    const [r, g, b] = [lut[3 * i], lut[3 * i + 1], lut[3 * i + 2]];
    fill.push(`rgb(${r} ${g} ${b})`);
    ink.push(0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111" : "#fff");
  }
  return { fill, ink };
}

// What is drawn of a token: its text without line ends, and how many line ends it holds.
function parts(label, special) {
  const ends = special ? 0 : (label.match(/\n/g) || []).length;
  const text = ends ? label.replace(/[\n\r]+/g, "") : label;
  return { text: text === "" ? (ends ? "↵" : "∅") : visibleInLine(text), ends, sign: text === "" };
}

function visibleInLine(text) {
  const lead = text.length - text.trimStart().length;
  return " ".repeat(Math.min(lead, 1)) + (text.trim() ? visible(text.slice(lead)) : text.length > 1 ? visible(text) : "");
}

// Greedy lines: a word that does not fit begins the next one, with all tokens that it is made of.
function breakLines(s) {
  const context = drawingOn(document.createElement("canvas"));
  context.font = `15px ${getComputedStyle(s.ui.box).fontFamily || "sans-serif"}`;
  const room = s.ui.scroller.clientWidth - 2 * PADDING - 4;
  const known = new Map();
  const width = (text) => {
    if (!known.has(text)) known.set(text, Math.max(context.measureText(text).width, 6));
    return known.get(text);
  };
  s.lines = [[]];
  s.lineOf = new Int32Array(s.tokens.length);
  let used = 0;
  const next = () => {
    s.lines.push([]);
    used = 0;
  };
  for (const word of words(s.tokens)) {
    const sizes = word.map((i) => width(s.tokens[i].text));
    if (used && used + sizes.reduce((sum, size) => sum + size, 0) > room) next();
    word.forEach((i, place) => {
      if (used && used + sizes[place] > room) next(); // a word longer than a line
      s.lines.at(-1).push(i);
      s.lineOf[i] = s.lines.length - 1;
      used += sizes[place];
      for (let end = 0; end < Math.min(s.tokens[i].ends, 2); end++) next();
    });
  }
  s.width = s.ui.scroller.clientWidth;
  s.ui.sheet.style.height = s.lines.length * LINE + 2 * PADDING + "px";
  for (const node of s.nodes.values()) node.remove();
  s.nodes.clear();
}

// Tokens that belong together: up to the next one that begins with a blank, or after a line end.
function words(tokens) {
  const found = [];
  tokens.forEach((token, i) => {
    if (!i || token.text.startsWith(" ") || tokens[i - 1].ends) found.push([i]);
    else found.at(-1).push(i);
  });
  return found;
}

function lineNode(s, index) {
  const node = element("div", "line");
  node.style.top = PADDING + index * LINE + "px";
  for (const i of s.lines[index]) {
    const token = element("span", "token", "word-" + i);
    token.dataset.index = i;
    token.textContent = node.children.length ? s.tokens[i].text : s.tokens[i].text.trimStart() || s.tokens[i].text;
    token.classList.toggle("special", s.special[i] === 1);
    token.classList.toggle("sign", s.tokens[i].sign);
    node.append(token);
  }
  return node;
}

function shade(s, node) {
  for (const token of node.children) {
    const i = Number(token.dataset.index);
    const code = s.codes[i];
    const place = code ? s.places[code] : 0;
    token.style.backgroundColor = place ? s.ramp.fill[place] : "";
    token.style.color = place ? s.ramp.ink[place] : "";
    token.classList.toggle("later", code === 0);
    token.classList.toggle("focus", i === (s.cursor ?? s.focus));
    token.classList.toggle("other", i === s.other);
    token.classList.toggle("marked", i === s.remote.query || i === s.remote.key);
  }
}

function paint(s) {
  if (!s.codes || !s.ui.scroller.clientWidth) return;
  if (s.ui.scroller.clientWidth !== s.width) {
    const first = s.lines.length > 1 ? s.lines[Math.floor(s.ui.scroller.scrollTop / LINE)]?.[0] : null;
    breakLines(s);
    if (first) s.ui.scroller.scrollTop = s.lineOf[first] * LINE;
  }
  const { scrollTop, clientHeight } = s.ui.scroller;
  const from = Math.max(0, Math.floor(scrollTop / LINE) - SPARE);
  const to = Math.min(s.lines.length, Math.ceil((scrollTop + clientHeight) / LINE) + SPARE);
  for (const [index, node] of s.nodes) {
    if (index >= from && index < to) continue;
    node.remove();
    s.nodes.delete(index);
  }
  for (let index = from; index < to; index++) {
    if (!s.nodes.has(index)) {
      s.nodes.set(index, lineNode(s, index));
      s.ui.sheet.append(s.nodes.get(index));
    }
    shade(s, s.nodes.get(index));
  }
  s.ui.scroller.dataset.lines = s.lines.length;
  paintMinimap(s);
}

function paintMinimap(s) {
  const { minimap, scroller } = s.ui;
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [minimap.clientWidth, minimap.clientHeight];
  if (!width || !height) return;
  minimap.width = Math.round(width * ratio);
  minimap.height = Math.round(height * ratio);
  const context = minimap.getContext("2d");
  context.scale(ratio, ratio);
  const rows = Math.max(s.lines.length, Math.floor((scroller.clientHeight - 2 * PADDING) / LINE));
  const pixel = (index) => (s.lineOf[index] / rows) * height;
  // The strongest weight of the lines on each row of pixels.
  const strongest = new Uint16Array(Math.ceil(height) + 1);
  s.codes.forEach((code, i) => {
    const at = Math.floor(pixel(i));
    if (code > strongest[at]) strongest[at] = code;
  });
  const thick = Math.max(1.5, height / rows);
  strongest.forEach((code, at) => {
    if (!code || !s.places[code]) return;
    context.fillStyle = s.ramp.fill[s.places[code]];
    context.fillRect(0, at, width, thick);
  });
  const theme = getComputedStyle(s.root.host || s.root);
  const primary = theme.getPropertyValue("--st-primary-color").trim() || "#0072b2";
  context.fillStyle = primary;
  const mark = pixel(s.focus);
  context.beginPath();
  context.moveTo(width, mark - 5);
  context.lineTo(width - 8, mark);
  context.lineTo(width, mark + 5);
  context.fill();
  context.strokeStyle = theme.getPropertyValue("--st-text-color").trim() || "#444";
  context.lineWidth = 1.5;
  const top = (scroller.scrollTop / LINE / rows) * height;
  const tall = Math.max(8, (scroller.clientHeight / LINE / rows) * height);
  context.strokeRect(1, top + 1, width - 2, Math.min(tall, height - top) - 2);
}

function named(s, index) {
  const name = element("b");
  name.dir = "auto";
  name.textContent = visible(s.labels[index].trim() || s.labels[index]);
  const place = element("small");
  place.textContent = ` #${index}`;
  return [name, place];
}

function order(s) {
  return [...s.codes.keys()].filter((i) => s.codes[i] > 0).sort((a, b) => s.codes[b] - s.codes[a] || a - b);
}

function say(s, hovered) {
  const { caption } = s.ui;
  const at = s.direction === "at";
  const focus = named(s, s.focus);
  if (hovered !== null && s.codes[hovered]) {
    const [from, to] = at ? [focus, named(s, hovered)] : [named(s, hovered), focus];
    return caption.replaceChildren(...from, " looks at ", ...to, `: ${weightText(s.codes[hovered])}`);
  }
  if (hovered !== null) return caption.replaceChildren(...named(s, hovered), at ? " comes later and cannot be seen by " : " came earlier and cannot see ", ...focus);
  const best = s.top[0];
  if (best === undefined) return caption.replaceChildren(...focus, at ? " sees nothing" : " is seen from nowhere");
  const target = best === s.focus ? ["itself"] : named(s, best);
  caption.replaceChildren(...focus, at ? " looks mostly at " : " is looked at most by ", ...target, ` (${weightText(s.codes[best])})`);
}

function namePlaces(s) {
  const nodes = s.top.slice(0, TOP).map((index) => {
    const node = element("button", "", "place-" + index);
    node.type = "button";
    node.textContent = `${visible(s.labels[index].trim() || s.labels[index])} ${weightText(s.codes[index])}`;
    node.title = `Token ${index}: scroll there`;
    node.addEventListener("click", () => reveal(s, index, true));
    return node;
  });
  s.ui.places.replaceChildren(...nodes);
}

function reveal(s, index, middle) {
  const { scroller } = s.ui;
  const top = PADDING + s.lineOf[index] * LINE;
  const inSight = top >= scroller.scrollTop && top + LINE <= scroller.scrollTop + scroller.clientHeight;
  if (inSight && !middle) return;
  scroller.scrollTop = Math.max(0, top - scroller.clientHeight / 2);
  s.request();
}

function wordAt(event) {
  const node = event.target.closest?.(".token");
  return node ? Number(node.dataset.index) : null;
}

function pickWord(s, index) {
  s.cursor = null;
  s.focus = index; // the outline moves before the server has answered
  s.picked = index;
  s.request();
  s.pick(index);
}

function setHover(s, index) {
  if (s.hover === index) return;
  s.hover = index;
  say(s, index);
  const at = s.direction === "at";
  if (index === null) sendHover(s.source, null, null);
  else sendHover(s.source, at ? s.focus : index, at ? index : s.focus);
}

function moveCursor(s, index) {
  s.cursor = Math.max(0, Math.min(index, s.tokens.length - 1));
  reveal(s, s.cursor, false);
  setHover(s, s.cursor);
  s.request();
}

function onKey(s, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !s.tokens.length) return;
  const at = s.cursor ?? s.focus;
  const page = Math.floor(s.ui.scroller.clientHeight / LINE) - 1;
  const line = (by) => s.lines[Math.max(0, Math.min(s.lineOf[at] + by, s.lines.length - 1))].at(0) ?? at;
  const moves = {
    ArrowLeft: () => at - 1, ArrowRight: () => at + 1, ArrowUp: () => line(-1), ArrowDown: () => line(1),
    PageUp: () => line(-page), PageDown: () => line(page), Home: () => 0, End: () => s.tokens.length - 1,
  };
  if (event.key in moves) moveCursor(s, moves[event.key]());
  else if ((event.key === "Enter" || event.key === " ") && s.cursor !== null) pickWord(s, s.cursor);
  else return;
  event.preventDefault();
}

function listen(s) {
  const { scroller, minimap } = s.ui;
  scroller.addEventListener("scroll", () => s.request(), { passive: true });
  scroller.addEventListener("pointerover", (event) => {
    const index = wordAt(event);
    if (event.pointerType !== "touch" && index !== null) setHover(s, index);
  });
  scroller.addEventListener("pointerleave", () => setHover(s, null));
  scroller.addEventListener("click", (event) => {
    const index = wordAt(event);
    if (index !== null) pickWord(s, index);
  });
  scroller.addEventListener("keydown", (event) => onKey(s, event));
  scroller.addEventListener("blur", () => {
    s.cursor = null;
    setHover(s, null);
    s.request();
  });
  const scrollTo = (event) => {
    const box = minimap.getBoundingClientRect();
    const rows = Math.max(s.lines.length, Math.floor((scroller.clientHeight - 2 * PADDING) / LINE));
    scroller.scrollTop = ((event.clientY - box.top) / box.height) * rows * LINE - scroller.clientHeight / 2;
  };
  minimap.addEventListener("pointerdown", (event) => {
    minimap.setPointerCapture(event.pointerId);
    scrollTo(event);
  });
  minimap.addEventListener("pointermove", (event) => event.buttons && scrollTo(event));
}

async function update(s, { meta, arrays }) {
  const turn = ++s.updates;
  const [labels, raw] = await Promise.all([inflate(arrays.labels.array), inflate(arrays.codes.array)]);
  if (turn !== s.updates) return;
  const codes = new Uint16Array(raw.length / 2);
  for (let i = 0; i < codes.length; i++) codes[i] = raw[i] | (raw[codes.length + i] << 8);
  const another = meta.text !== s.text;
  if (another) {
    [s.labels, s.special] = JSON.parse(new TextDecoder().decode(labels));
    s.tokens = s.labels.map((label, i) => parts(label, s.special[i] === 1));
    s.width = 0; // lines are broken anew
  }
  const moved = meta.focus !== s.focus || another;
  const own = s.picked === meta.focus;
  Object.assign(s, { codes, text: meta.text, focus: meta.focus, other: meta.other, direction: meta.direction, picked: null });
  s.places = rampPlaces(meta.colours);
  s.ramp = rampOf(arrays.lut.array);
  s.top = order(s);
  s.hover = null;
  s.cursor = null;
  say(s, null);
  namePlaces(s);
  s.request.cancel();
  paint(s);
  if (moved && !own) reveal(s, s.focus, false);
  s.ui.scroller.dataset.focus = s.focus;
}

export default component("document_view", (root, source) => {
  /** @type {State} */
  const s = {
    root, source, ui: skeleton(root), labels: [], special: [], tokens: [], lines: [[]], lineOf: new Int32Array(0), nodes: new Map(),
    codes: null, focus: null, other: null, cursor: null, hover: null, picked: null, remote: { query: null, key: null }, top: [],
    updates: 0, width: 0, direction: "at",
  };
  s.request = oncePerFrame(() => paint(s));
  listen(s);
  const resized = new ResizeObserver(() => s.request());
  resized.observe(s.ui.scroller);
  const stop = onHover(source, (query, key) => {
    s.remote = { query, key };
    s.request();
  });
  s.update = (data) => update(s, data);
  s.destroy = () => {
    stop();
    resized.disconnect();
    s.request.cancel();
    s.ui.box.remove();
  };
  return s;
});
