// A token's level is its place on the colour ramp, 0 to 255, or one of these.
const UNSET = -9;
const MASKED = -1;
const LEFT_OUT = -2;
const SMALLEST_NUMBER = 0.005;

// The chosen direction outlives the component, so leaving the page and coming back keeps it.
const directions = new Map();

// Black or white, whichever has more contrast on this colour (WCAG relative luminance; 0.179 is where they tie).
function inkOn(r, g, b) {
  const linear = (v) => (v <= 10 ? v / 3294 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) > 0.179 ? "#000" : "#fff";
}

function ramp(lut) {
  const fill = [];
  const ink = [];
  for (let i = 0; i < 256; i++) {
    const [r, g, b] = lut.subarray(3 * i, 3 * i + 3);
    fill.push(`rgb(${r},${g},${b})`);
    ink.push(inkOn(r, g, b));
  }
  return { fill, ink };
}

function threeDecimals(weight) {
  return weight.toFixed(3).replace(/^0/, "");
}

// Everything drawn around the tokens; built once per instance.
function skeleton(root) {
  const box = element("div", "strip", "token-strip");
  const bar = element("div", "bar");
  const group = element("div", "direction", "strip-direction");
  group.setAttribute("role", "radiogroup");
  group.setAttribute("aria-label", "Direction");
  const buttons = [["at", "looks at"], ["by", "is looked at by"]].map(([value, text]) => {
    const button = element("button", "", "direction-" + value);
    button.type = "button";
    button.dataset.value = value;
    button.setAttribute("role", "radio");
    button.textContent = text;
    group.append(button);
    return button;
  });
  const legend = element("div", "legend", "strip-legend");
  const low = element("span");
  const scale = element("span", "scale");
  const high = element("span");
  const hatch = element("span", "hatch");
  const hatchText = element("span");
  const note = element("span", "note");
  low.textContent = "0";
  hatchText.textContent = "may not look";
  legend.append(low, scale, high, hatch, hatchText, note);
  const list = element("div", "tokens");
  list.dir = "ltr";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-orientation", "horizontal");
  list.setAttribute("aria-label", "Tokens of the text");
  const caption = element("p", "caption", "strip-caption");
  caption.setAttribute("aria-live", "polite");
  bar.append(group, legend);
  box.append(bar, list, caption);
  root.append(box);
  return { box, group, buttons, scale, high, hatch, hatchText, note, list, caption };
}

function tokenNode(index) {
  const node = element("span", "token", "token-" + index);
  node.dataset.index = index;
  node.setAttribute("role", "option");
  node.tabIndex = -1;
  const piece = element("span", "piece");
  piece.dir = "auto";
  const number = element("span", "number");
  number.setAttribute("aria-hidden", "true");
  node.append(piece, number);
  return { node, piece, number, level: UNSET, text: "" };
}

function fillToken(token, label, special, index, repeated) {
  const spaced = /^ [^ ]/.test(label);
  const text = visible(spaced ? label.slice(1) : label);
  token.piece.textContent = text;
  token.name = text;
  token.place = repeated ? "#" + index : "";
  token.node.classList.toggle("spaced", spaced);
  token.node.classList.toggle("special", special);
  token.node.setAttribute("aria-label", `${text}, token ${index}`);
  token.node.title = text.length > 24 ? text : "";
}

function setLabels(s, labels, special) {
  const signature = JSON.stringify([labels, special]);
  if (signature === s.signature) return;
  s.signature = signature;
  while (s.tokens.length < labels.length) s.tokens.push(tokenNode(s.tokens.length));
  while (s.tokens.length > labels.length) s.tokens.pop().node.remove();
  const trimmed = labels.map((label) => label.trim());
  const times = new Map();
  for (const label of trimmed) times.set(label, (times.get(label) || 0) + 1);
  s.tokens.forEach((token, i) => fillToken(token, labels[i], !!special[i], i, times.get(trimmed[i]) > 1));
  s.ui.list.append(...s.tokens.filter((token) => !token.node.isConnected).map((token) => token.node));
}

function setRamp(s, lut) {
  const signature = lut.join();
  if (signature === s.lut) return;
  s.lut = signature;
  s.ramp = ramp(lut);
  const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((i) => s.ramp.fill[i]);
  s.ui.scale.style.background = `linear-gradient(90deg, ${stops.join()})`;
  for (const token of s.tokens) token.level = UNSET;
}

// What the focused token's row (or column) says about each token: a weight, or NaN where looking is not allowed.
// Fewer rows than tokens: the rows belong to the last tokens, the earlier ones have none.
function readWeights(s, focus) {
  const kv = s.tokens.length;
  const skipped = kv - s.rows;
  const values = new Float64Array(kv).fill(NaN);
  for (let i = 0; i < kv; i++) {
    const query = (s.direction === "at" ? focus : i) - skipped;
    const key = s.direction === "at" ? i : focus;
    const code = query < 0 ? 0 : s.codes[query * kv + key];
    if (code > 0) values[i] = (code - 1) / 65534;
  }
  return values;
}

// The largest weight, without the first token where it is left out of the scale.
function strongest(values, from) {
  let best = -1;
  for (let i = from; i < values.length; i++) {
    if (values[i] > (best < 0 ? -1 : values[best])) best = i;
  }
  return best;
}

function paintToken(s, token, level, text) {
  if (token.level !== level) {
    token.level = level;
    token.piece.style.backgroundColor = level >= 0 ? s.ramp.fill[level] : "";
    token.piece.style.color = level >= 0 ? s.ramp.ink[level] : "";
    token.node.classList.toggle("masked", level === MASKED);
    token.node.classList.toggle("left-out", level === LEFT_OUT);
  }
  if (token.text !== text) {
    token.text = text;
    token.number.textContent = text;
  }
}

// A class only one token has at a time.
function mark(s, className, index) {
  const before = s.marks[className];
  const node = index === null ? null : s.tokens[index]?.node || null;
  if (before === node) return;
  before?.classList.remove(className);
  node?.classList.add(className);
  s.marks[className] = node;
}

function named(s, index) {
  const token = s.tokens[index];
  const name = element("b");
  name.dir = "auto";
  name.textContent = token.name;
  if (!token.place) return [name];
  const place = element("small");
  place.textContent = " " + token.place;
  return [name, place];
}

function sentence(s, focus, values, best, hidesFirst) {
  const at = s.direction === "at";
  const who = named(s, focus);
  if (best < 0) return [...who, at ? " has no row in this picture" : " is looked at by no token here"];
  const allowed = values.reduce((count, value) => count + !Number.isNaN(value), 0);
  const target = best === focus ? ["itself"] : named(s, best);
  const weight = ` (${values[best].toFixed(3)})`;
  const only = allowed === 1;
  const verb = at ? (only ? " can only look at " : " looks mostly at ") : only ? " is only looked at by " : " is looked at most by ";
  const rest = hidesFirst && values[0] >= SMALLEST_NUMBER ? ["; the first token, ", ...named(s, 0), `, has ${values[0].toFixed(3)}`] : [];
  return [...who, verb, ...target, weight, ...rest];
}

function paintLegend(s, scale, hidesFirst, anyMasked) {
  const { high, hatch, hatchText, note } = s.ui;
  high.textContent = hidesFirst ? threeDecimals(scale) : "1";
  note.textContent = s.sink ? "colours without the first token" : "";
  hatch.hidden = hatchText.hidden = !anyMasked;
}

function focusToken(s) {
  const last = s.tokens.length - 1;
  const wanted = s.remote ?? s.hover ?? s.cursor ?? s.pinned;
  return Math.max(0, Math.min(wanted, last));
}

function paint(s) {
  if (!s.codes || !s.tokens.length) return;
  const focus = focusToken(s);
  const values = readWeights(s, focus);
  const others = s.sink ? strongest(values, 1) : -1;
  const hidesFirst = others > 0 && values[others] > 0;
  const best = hidesFirst ? others : strongest(values, 0);
  const scale = hidesFirst ? values[others] : 1;
  let anyMasked = false;
  s.tokens.forEach((token, i) => {
    const value = values[i];
    const masked = Number.isNaN(value);
    const level = masked ? MASKED : hidesFirst && i === 0 ? LEFT_OUT : Math.round(255 * Math.min(1, value / scale));
    anyMasked ||= masked;
    paintToken(s, token, level, value >= SMALLEST_NUMBER ? threeDecimals(value) : "");
  });
  mark(s, "focus", focus);
  mark(s, "pinned", s.pinned);
  mark(s, "paired", s.remote === null ? s.key : s.remotePair);
  const spoken = sentence(s, focus, values, best, hidesFirst);
  s.ui.caption.replaceChildren(...spoken);
  paintLegend(s, scale, hidesFirst, anyMasked);
}

// Roving tabindex: one token is the tab stop.
function setTabStop(s, index) {
  const node = s.tokens[index]?.node || null;
  if (s.tabStop === node) return;
  if (s.tabStop) s.tabStop.tabIndex = -1;
  if (node) node.tabIndex = 0;
  s.tabStop = node;
}

// Scrolls the strip, never the page.
function reveal(s, index) {
  const node = s.tokens[index]?.node;
  const { list } = s.ui;
  if (!node || list.scrollHeight <= list.clientHeight) return;
  const top = node.offsetTop - list.offsetTop;
  if (top < list.scrollTop) list.scrollTop = top - 4;
  const bottom = top + node.offsetHeight;
  if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight + 4;
}

function tell(s, index) {
  if (index === null) sendHover(s.source, null, null);
  else if (s.direction === "at") sendHover(s.source, index, null);
  else sendHover(s.source, null, index);
}

function setHover(s, index) {
  if (s.hover === index) return;
  s.hover = index;
  tell(s, index ?? s.cursor);
  s.request();
}

function pickToken(s, index) {
  s.cursor = null;
  s.pinned = index;
  showPinned(s);
  s.request();
  s.pick(index);
}

function showPinned(s) {
  setTabStop(s, s.pinned);
  s.tokens.forEach((token, i) => {
    if ((token.node.getAttribute("aria-selected") === "true") !== (i === s.pinned)) {
      token.node.setAttribute("aria-selected", i === s.pinned);
    }
  });
}

function moveTo(s, index) {
  s.hover = null;
  s.cursor = index;
  setTabStop(s, index);
  s.tokens[index].node.focus();
  tell(s, index);
  s.request();
}

function onKey(s, event) {
  const index = tokenAt(event);
  if (index === null || event.ctrlKey || event.metaKey || event.altKey) return;
  const last = s.tokens.length - 1;
  const moves = {
    ArrowLeft: index - 1, ArrowUp: index - 1, ArrowRight: index + 1, ArrowDown: index + 1,
    Home: 0, End: last, Escape: Math.min(s.pinned, last),
  };
  if (event.key in moves) moveTo(s, Math.max(0, Math.min(moves[event.key], last)));
  else if (event.key === "Enter" || event.key === " ") pickToken(s, index);
  else return;
  if (event.key === "Escape") {
    s.cursor = null;
    tell(s, null);
  }
  event.preventDefault();
}

function tokenAt(event) {
  const node = event.target.closest?.(".token");
  return node ? Number(node.dataset.index) : null;
}

function setDirection(s, direction) {
  s.direction = direction;
  directions.set(s.name, direction);
  for (const button of s.ui.buttons) {
    const chosen = button.dataset.value === direction;
    button.setAttribute("aria-checked", chosen);
    button.tabIndex = chosen ? 0 : -1;
  }
  s.request();
}

function listen(s) {
  const { list, group } = s.ui;
  list.addEventListener("pointerover", (event) => {
    const index = tokenAt(event);
    // A finger picks; it does not hover. Gaps between tokens keep the last one, so nothing flickers.
    if (event.pointerType !== "touch" && index !== null) setHover(s, index);
  });
  list.addEventListener("pointerleave", () => setHover(s, null));
  list.addEventListener("click", (event) => {
    const index = tokenAt(event);
    if (index !== null) pickToken(s, index);
  });
  list.addEventListener("keydown", (event) => onKey(s, event));
  list.addEventListener("focusout", (event) => {
    if (s.cursor === null || list.contains(event.relatedTarget)) return;
    s.cursor = null;
    setTabStop(s, s.pinned);
    tell(s, s.hover);
    s.request();
  });
  group.addEventListener("click", (event) => {
    const { value } = event.target.dataset;
    if (value) setDirection(s, value);
  });
  group.addEventListener("keydown", (event) => {
    if (!event.key.startsWith("Arrow")) return;
    setDirection(s, s.direction === "at" ? "by" : "at");
    s.ui.buttons.find((button) => button.tabIndex === 0).focus();
    event.preventDefault();
  });
}

function takeRemote(s, query, key) {
  const [focus, pair] = s.direction === "at" ? [query ?? key, query === null ? null : key] : [key ?? query, key === null ? null : query];
  s.remote = focus !== null && focus < s.tokens.length ? focus : null;
  s.remotePair = pair;
  if (s.remote !== null) reveal(s, s.remote);
  s.request();
}

function update(s, { meta, arrays }) {
  if (s.name === undefined) {
    s.name = meta.name;
    setDirection(s, directions.get(meta.name) || "at");
  }
  setLabels(s, meta.labels, meta.special);
  setRamp(s, arrays.lut.array);
  s.codes = arrays.codes.array;
  s.rows = arrays.codes.shape[0];
  s.sink = meta.sink;
  s.key = meta.key;
  if (s.pinned !== meta.query) s.cursor = null;
  // A hovered token of an older, longer text.
  if (s.hover >= s.tokens.length) s.hover = null;
  const moved = s.pinned !== meta.query;
  s.pinned = meta.query;
  showPinned(s);
  if (moved) reveal(s, s.pinned);
  s.request.cancel();
  paint(s);
}

export default component("token_strip", (root, source) => {
  /** @type {State} */
  const s = {
    source, ui: skeleton(root), tokens: [], marks: {}, tabStop: null, direction: "at",
    hover: null, cursor: null, remote: null, remotePair: null, pinned: null, key: null,
  };
  s.request = oncePerFrame(() => paint(s));
  listen(s);
  const stop = onHover(source, (query, key) => takeRemote(s, query, key));
  s.update = (data) => update(s, data);
  s.destroy = () => {
    stop();
    if (s.hover !== null || s.cursor !== null) tell(s, null);
    s.request.cancel();
    s.ui.box.remove();
  };
  return s;
});
