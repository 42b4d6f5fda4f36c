// Widths in CSS pixels; head_grid.css repeats GAP and GROUP_GAP.
const SMALLEST = 80;
const LARGEST = 120;
const GAP = 8;
const GROUP_GAP = 18;

function headNode(index) {
  const node = element("button", "head", "head-" + index);
  node.type = "button";
  node.dataset.index = index;
  node.tabIndex = -1;
  const frame = element("span", "frame");
  const canvas = element("canvas");
  const row = element("span", "row");
  const name = element("span", "name");
  name.textContent = "head " + index;
  frame.append(canvas, row);
  node.append(frame, name);
  return { node, canvas, context: canvas.getContext("2d"), image: null };
}

function groupNode(s, index, heads, bracket) {
  const group = element("div", "group", "group-" + index);
  group.setAttribute("role", "group");
  if (bracket) {
    const label = element("div", "bracket");
    label.textContent = s.latent || "KV head " + index;
    group.setAttribute("aria-label", label.textContent);
    group.append(label);
  }
  const inner = element("div", "heads");
  inner.append(...heads.map((head) => head.node));
  group.append(inner);
  return group;
}

// Only when the number of heads changes; otherwise canvases are kept and painted over.
function setShape(s, heads, kvHeads, latent) {
  const signature = heads + "/" + kvHeads + "/" + latent;
  if (signature === s.shape) return;
  s.shape = signature;
  s.tabStop = null;
  s.heads = Array.from({ length: heads }, (_, i) => headNode(i));
  // Every head its own keys and values: no bracket, one group.
  s.latent = latent;
  s.bracket = kvHeads < heads || Boolean(latent);
  s.groups = kvHeads < heads ? kvHeads : 1;
  const size = heads / s.groups;
  const nodes = Array.from({ length: s.groups }, (_, g) => groupNode(s, g, s.heads.slice(g * size, (g + 1) * size), s.bracket));
  s.grid.replaceChildren(...nodes);
  s.width = 0;
  layOut(s);
}

// As many columns as fit, then no more than are needed for that number of rows: 12 heads are 6 + 6, not 11 + 1.
function balanced(count, most) {
  const rows = Math.ceil(count / Math.max(1, Math.min(count, most)));
  return Math.ceil(count / rows);
}

function layOut(s) {
  const width = s.grid.clientWidth;
  if (!width || width === s.width || !s.heads.length) return;
  s.width = width;
  const size = s.heads.length / s.groups;
  const fit = (total, item, gap) => Math.floor((total + gap) / (item + gap));
  const columns = balanced(size, fit(width, SMALLEST, GAP));
  const groupWidth = columns * (SMALLEST + GAP) - GAP;
  const across = balanced(s.groups, fit(width, groupWidth, GROUP_GAP));
  const room = (width - (across - 1) * GROUP_GAP) / across;
  const thumb = Math.floor(Math.min(LARGEST, (room - (columns - 1) * GAP) / columns));
  s.grid.style.setProperty("--across", across);
  s.grid.style.setProperty("--columns", columns);
  s.grid.style.setProperty("--thumb", thumb + "px");
}

// Colours as 32-bit pixels in the machine's byte order (ImageData is RGBA in memory).
function pixels(lut) {
  const colours = new Uint32Array(256);
  const bytes = new Uint8Array(colours.buffer);
  for (let i = 0; i < 256; i++) bytes.set([lut[3 * i], lut[3 * i + 1], lut[3 * i + 2], 255], 4 * i);
  return colours;
}

function paintMaps(s, { maps, mask, lut }) {
  const [, rows, cols] = maps.shape;
  const colours = pixels(lut.array);
  const cells = rows * cols;
  // Enlarged cells are crisp; maps finer than the thumbnail would lose cells that way.
  s.grid.classList.toggle("crisp", Math.max(rows, cols) <= LARGEST);
  s.heads.forEach((head, h) => {
    if (head.canvas.width !== cols || head.canvas.height !== rows || !head.image) {
      head.canvas.width = cols;
      head.canvas.height = rows;
      head.image = head.context.createImageData(cols, rows);
      head.out = new Uint32Array(head.image.data.buffer);
    }
    const map = maps.array.subarray(h * cells, (h + 1) * cells);
    for (let i = 0; i < cells; i++) head.out[i] = mask.array[i] ? colours[map[i]] : 0;
    head.context.putImageData(head.image, 0, 0);
  });
}

function setTabStop(s, index) {
  const node = s.heads[index]?.node || null;
  if (s.tabStop === node) return;
  if (s.tabStop) s.tabStop.tabIndex = -1;
  if (node) node.tabIndex = 0;
  s.tabStop = node;
}

function select(s, index) {
  s.heads.forEach((head, i) => head.node.setAttribute("aria-pressed", i === index));
  setTabStop(s, index);
}

function setNotes(s, notes) {
  s.heads.forEach((head, i) => {
    const text = "head " + i + (notes[i] ? " · " + notes[i] : "");
    if (head.node.title === text) return;
    head.node.title = text;
    head.node.setAttribute("aria-label", text);
  });
}

// One variable moves the mark of all heads.
function markRow(s, query) {
  const inside = query !== null && query < s.rows;
  const place = ((inside ? query : s.query) + 0.5) / s.rows;
  s.grid.style.setProperty("--row", (100 * Math.min(1, place)).toFixed(2) + "%");
}

function standardCaption(s, heads) {
  if (s.latent) return `all ${heads} heads expand their keys and values from one latent`;
  if (!s.bracket) return heads > 1 ? "each head has its own keys and values" : "";
  if (s.groups === 1) return `all ${heads} heads share one head's keys and values`;
  return `${heads / s.groups} heads share the keys and values of one KV head`;
}

function update(s, { meta, arrays }) {
  const heads = arrays.maps.shape[0];
  setShape(s, heads, meta.n_kv_heads, meta.latent);
  paintMaps(s, arrays);
  s.rows = meta.q_len;
  s.query = meta.query;
  markRow(s, null);
  setNotes(s, meta.notes);
  select(s, meta.head);
  s.caption.textContent = meta.caption ?? standardCaption(s, heads);
  s.caption.hidden = !s.caption.textContent;
}

// The nearest head in the row above or below, whatever bracket it stands under.
function above(s, index, sign) {
  const boxes = s.heads.map((head) => head.node.getBoundingClientRect());
  const here = boxes[index];
  let best = index;
  let shortest = Infinity;
  boxes.forEach((box, i) => {
    const down = sign * (box.top - here.top);
    const distance = 4 * down + Math.abs(box.left - here.left);
    if (down > 4 && distance < shortest) [best, shortest] = [i, distance];
  });
  return best;
}

function onKey(s, event) {
  const index = headAt(event);
  if (index === null || event.ctrlKey || event.metaKey || event.altKey) return;
  const last = s.heads.length - 1;
  const moves = {
    ArrowLeft: () => Math.max(0, index - 1), ArrowRight: () => Math.min(last, index + 1),
    ArrowUp: () => above(s, index, -1), ArrowDown: () => above(s, index, 1), Home: () => 0, End: () => last,
  };
  if (!(event.key in moves)) return;
  const target = moves[event.key]();
  setTabStop(s, target);
  s.heads[target].node.focus();
  event.preventDefault();
}

function headAt(event) {
  const node = event.target.closest?.(".head");
  return node ? Number(node.dataset.index) : null;
}

export default component("head_grid", (root, source) => {
  const box = element("div", "box", "head-grid");
  const grid = element("div", "grid");
  const caption = element("p", "caption", "grid-caption");
  box.append(grid, caption);
  root.append(box);
  /** @type {State} */
  const s = { grid, caption, heads: [], tabStop: null, width: 0, rows: 1, query: 0 };
  const resized = new ResizeObserver(() => layOut(s));
  resized.observe(grid);
  grid.addEventListener("keydown", (event) => onKey(s, event));
  grid.addEventListener("click", (event) => {
    const index = headAt(event);
    if (index === null) return;
    // The outline moves before the server has answered.
    select(s, index);
    sendPreview(s.heads[index].canvas);
    s.pick(index);
  });
  const stop = onHover(source, (query) => markRow(s, query));
  s.update = (data) => update(s, data);
  s.destroy = () => {
    stop();
    resized.disconnect();
    box.remove();
  };
  return s;
});
