// A Plotly figure that is updated in place (Streamlit's own chart is built anew for every change), whose cells can be
// picked by mouse and keyboard, and that shares hovering with the other parts.
const SMALLEST_CELL = 8;
const SMALLEST_AREA = 16;

function styled(node, styles) {
  Object.assign(node.style, styles);
  return node;
}

function overlayNodes() {
  const overlay = styled(element("div", "", "chart-overlay"), {
    position: "absolute", overflow: "hidden", pointerEvents: "none", zIndex: 5, outline: "none", borderRadius: "2px",
  });
  overlay.tabIndex = 0;
  overlay.setAttribute("role", "application");
  const part = (testid, styles) => {
    const node = styled(element("div", "", testid), { position: "absolute", boxSizing: "border-box", display: "none", ...styles });
    overlay.append(node);
    return node;
  };
  const preview = styled(document.createElement("canvas"), {
    position: "absolute", inset: "0", width: "100%", height: "100%", imageRendering: "pixelated", display: "none",
  });
  preview.dataset.testid = "chart-preview";
  overlay.append(preview);
  return {
    overlay,
    preview,
    row: part("chart-row", {}),
    column: part("chart-column", {}),
    picked: part("chart-picked", { borderRadius: "1px" }),
    cursor: part("chart-cursor", { borderRadius: "1px" }),
  };
}

// The theme's colours are variables on this component's host, not on the chart.
function colour(s, nodes) {
  const theme = getComputedStyle(s.root.host || s.root);
  const primary = theme.getPropertyValue("--st-primary-color").trim() || "#ff4b4b";
  const text = theme.getPropertyValue("--st-text-color").trim() || "#888";
  const background = theme.getPropertyValue("--st-background-color").trim() || "#fff";
  s.ground = background;
  s.ring = `2px solid ${primary}`;
  s.primary = primary;
  if (!nodes) return;
  const band = { background: `color-mix(in srgb, ${primary} 14%, transparent)`, boxShadow: `inset 0 0 0 1px ${primary}` };
  styled(nodes.row, band);
  styled(nodes.column, { border: `1px dashed ${text}` });
  styled(nodes.picked, { border: `2px solid ${primary}`, boxShadow: `0 0 0 1px ${background}` });
  styled(nodes.cursor, { border: `2px solid ${text}`, boxShadow: `0 0 0 1px ${background}` });
}

// The axes of the first heatmap in the figure.
function axes(gd) {
  const layout = gd._fullLayout;
  const trace = (gd._fullData || []).find((each) => each.type === "heatmap");
  if (!layout || !trace) return null;
  const axis = (id, letter) => layout[letter + "axis" + id.slice(1)];
  const [x, y] = [axis(trace.xaxis, "x"), axis(trace.yaxis, "y")];
  return x?.l2p && y?.l2p && x._length > 0 ? { x, y } : null;
}

// Pixels that index `i` takes up on an axis, inside the plot area.
/** @type {(axis: any, i: number) => [number, number]} */
function span(axis, i) {
  const [a, b] = [axis.l2p(i - 0.5), axis.l2p(i + 0.5)];
  return [Math.min(a, b), Math.abs(b - a)];
}

/** @type {(axis: any) => [number, number]} */
function whole(axis) {
  return [0, axis._length];
}

/** @type {(place: [number, number], smallest: number) => [number, number]} */
function atLeast([start, length], smallest) {
  return length >= smallest ? [start, length] : [start + (length - smallest) / 2, smallest];
}

function put(node, horizontal, vertical) {
  const shown = horizontal && vertical;
  node.style.display = shown ? "block" : "none";
  if (!shown) return;
  const [left, width] = horizontal;
  const [top, height] = vertical;
  styled(node, { left: left + "px", top: top + "px", width: width + "px", height: height + "px" });
}

function putCell(node, at, cell) {
  if (!cell) return put(node, null, null);
  put(node, atLeast(span(at.x, cell.key), SMALLEST_CELL), atLeast(span(at.y, cell.query), SMALLEST_CELL));
}

// Pixels between two values on an axis.
/** @type {(axis: any, from: number, to: number) => [number, number]} */
function between(axis, from, to) {
  const [a, b] = [axis.l2p(from), axis.l2p(to)];
  return [Math.min(a, b), Math.abs(b - a)];
}

// Areas of a figure that can be picked: a button over each, so that Tab, Enter and screen readers reach them as well.
function placeAreas(s) {
  const { xaxis: x, yaxis: y } = s.gd._fullLayout || {};
  if (!s.areas || !x?.l2p || !y?.l2p) return;
  if (s.areas.parentNode !== s.gd) s.gd.append(s.areas);
  styled(s.areas, { left: x._offset + "px", top: y._offset + "px", width: x._length + "px", height: y._length + "px" });
  s.meta.areas.forEach((area, index) => {
    const button = areaButton(s, index);
    button.setAttribute("aria-label", area.words);
    button.setAttribute("aria-pressed", String(s.picked?.query === index));
    // A narrow area is as easy to hit as a wide one.
    put(button, atLeast(between(x, area.x0, area.x1), SMALLEST_AREA), between(y, area.y0, area.y1));
    button.style.boxShadow = s.picked?.query === index ? `0 0 0 3px ${s.primary}` : "none";
  });
  while (s.areas.children.length > s.meta.areas.length) s.areas.lastChild.remove();
}

function areaButton(s, index) {
  const there = s.areas.children[index];
  if (there) return there;
  const button = styled(element("button", "", "chart-area"), {
    position: "absolute", padding: "0", border: "none", background: "transparent", cursor: "pointer", pointerEvents: "auto",
  });
  button.type = "button";
  button.addEventListener("click", (event) => pickArea(s, index, event));
  button.addEventListener("mousemove", (event) => hoverArea(s, event));
  button.addEventListener("mouseleave", () => window.Plotly?.Fx.unhover(s.gd));
  s.areas.append(button);
  return button;
}

function pickArea(s, index, event) {
  const { columns, column } = s.meta.areas[index];
  const box = event.currentTarget.getBoundingClientRect();
  const at = Math.floor(((event.clientX - box.x) / box.width) * columns);
  // A key press has no place inside the area, and one part leaves nothing to choose.
  const byMouse = event.detail > 0 && columns > 1;
  s.picked = { query: index, key: byMouse ? Math.max(0, Math.min(at, columns - 1)) : column };
  placeAreas(s);
  s.pick(s.picked);
}

// The button lies over what Plotly would have said: ask it with the same place.
function hoverArea(s, event) {
  const { left, top } = s.gd.getBoundingClientRect();
  const { xaxis: x, yaxis: y } = s.gd._fullLayout;
  const at = { xpx: event.clientX - left - x._offset, ypx: event.clientY - top - y._offset };
  window.Plotly.Fx.hover(s.gd, at);
}

function makeAreas(s) {
  if (s.areas || !s.meta.areas.length) return;
  s.areas = styled(element("div", "", "chart-areas"), { position: "absolute", pointerEvents: "none", zIndex: 5 });
  s.gd.setAttribute("role", "group");
  s.gd.on("plotly_afterplot", () => placeAreas(s));
}

function place(s) {
  if (!s.gd || !s.nodes) return;
  const { overlay, row, column, picked, cursor } = s.nodes;
  if (overlay.parentNode !== s.gd) s.gd.append(overlay);
  const at = axes(s.gd);
  overlay.style.display = at ? "block" : "none";
  if (!at) return;
  styled(overlay, {
    left: at.x._offset + "px", top: at.y._offset + "px", width: at.x._length + "px", height: at.y._length + "px",
  });
  const { query, key } = s.remote;
  put(row, query === null ? null : whole(at.x), query === null ? null : atLeast(span(at.y, query), 3));
  put(column, key === null ? null : atLeast(span(at.x, key), 3), key === null ? null : whole(at.y));
  putCell(picked, at, s.picked);
  putCell(cursor, at, s.cursor);
}

// Plotly's event: x and y are the token indices; a heatmap without x and y has [row, column] instead.
function cellOf(event) {
  const point = (event?.points || []).find((each) => (each.fullData || each.data)?.type === "heatmap");
  if (!point) return null;
  const [row, col] = point.pointNumber || point.pointIndex || [];
  const index = (value, otherwise) => (Number.isFinite(value) ? Math.round(value) : otherwise);
  const cell = { query: index(point.y, row), key: index(point.x, col) };
  return Number.isInteger(cell.query) && Number.isInteger(cell.key) ? cell : null;
}

// In the whole map's place, until it is drawn anew; a zoomed map waits.
function showPreview(s, map) {
  const at = s.nodes && axes(s.gd);
  if (!at || !s.meta.token_map) return;
  const shown = (axis) => Math.abs(axis.range[1] - axis.range[0]);
  if (shown(at.x) < s.shape[1] - 0.01 || shown(at.y) < s.shape[0] - 0.01) return;
  const { preview } = s.nodes;
  preview.width = map.width;
  preview.height = map.height;
  preview.getContext("2d").drawImage(map, 0, 0);
  styled(preview, { display: "block", background: s.ground });
}

function pickCell(s, cell) {
  s.picked = cell;
  s.cursor = null;
  place(s);
  s.pick(cell);
}

function tellHover(s, cell) {
  if (s.meta.token_map) sendHover(s.source, cell ? cell.query : null, cell ? cell.key : null);
}

function setCursor(s, cell) {
  s.cursor = cell;
  tellHover(s, cell);
  place(s);
}

function onKey(s, event) {
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const step = steps[event.key];
  const inside = (value, count) => Math.max(0, Math.min(value, count - 1));
  if (step) {
    const from = s.cursor || s.picked || { query: -step[0], key: -step[1] };
    setCursor(s, { query: inside(from.query + step[0], s.shape[0]), key: inside(from.key + step[1], s.shape[1]) });
  } else if ((event.key === "Enter" || event.key === " ") && s.cursor) pickCell(s, s.cursor);
  else if (event.key === "Escape" && s.cursor) setCursor(s, null);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function chartEvents(s) {
  return {
    plotly_click: (event) => {
      const cell = cellOf(event);
      if (!cell) return;
      pickCell(s, cell);
      // So that the arrow keys go on from the clicked cell.
      s.nodes.overlay.focus({ preventScroll: true });
    },
    plotly_hover: (event) => {
      const cell = cellOf(event);
      if (!cell) return;
      s.hovering = true;
      tellHover(s, cell);
    },
    plotly_unhover: () => endHover(s),
    plotly_afterplot: () => place(s),
    plotly_relayouting: () => place(s),
  };
}

function endHover(s) {
  if (!s.hovering) return;
  s.hovering = false;
  tellHover(s, null);
}

// Cells can be picked in a chart that was given a shape: overlay, events and keys, once for the chart's life.
function makePickable(s) {
  if (s.nodes || !s.shape || s.meta.areas.length) return;
  for (const [name, handler] of Object.entries(chartEvents(s))) s.gd.on(name, handler);
  s.nodes = overlayNodes();
  const { overlay } = s.nodes;
  overlay.setAttribute("aria-label", "Attention map. Arrow keys move between cells, Enter picks one.");
  overlay.addEventListener("keydown", (event) => onKey(s, event));
  overlay.addEventListener("focus", () => {
    overlay.style.outline = overlay.matches(":focus-visible") ? s.ring : "none";
  });
  overlay.addEventListener("blur", () => {
    overlay.style.outline = "none";
    if (s.cursor) setCursor(s, null);
  });
}

let plotly;
function loadPlotly() {
  plotly ||= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("plotly.min.js", import.meta.url).href;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      plotly = null;
      reject(new Error("plotly.min.js could not be loaded"));
    };
    document.head.append(script);
  });
  return plotly;
}

const SVG_ICON = {
  width: 24, height: 24,
  path: "M5 20h14v-2H5v2zM19 9h-4V3H9v6H5l7 7 7-7z",
};

function config(Plotly, meta) {
  const image = { filename: meta.file_name, scale: 2 };
  const svg = {
    name: "Download plot as an SVG",
    icon: SVG_ICON,
    click: (gd) => Plotly.downloadImage(gd, { format: "svg", filename: meta.file_name }),
  };
  return {
    displaylogo: false,
    displayModeBar: meta.file_name ? true : false,
    modeBarButtons: [["toImage", svg], ["zoom2d", "pan2d", "resetScale2d"]],
    toImageButtonOptions: image,
    responsive: false,
    doubleClick: "reset",
  };
}

// Charts take turns, and what one has drawn is painted before the next begins: the first on the page is there first.
let turn = Promise.resolve();
function myTurn() {
  const before = turn;
  let done;
  turn = new Promise((resolve) => (done = resolve));
  return before.then(() => () => requestAnimationFrame(() => setTimeout(done)));
}

async function draw(s) {
  const Plotly = await loadPlotly();
  const endTurn = await myTurn();
  try {
    await drawNewest(s, Plotly);
  } finally {
    endTurn();
  }
}

async function drawNewest(s, Plotly) {
  // Meanwhile newer data may have come: draw what is newest, once.
  const meta = s.meta;
  if (s.drawn === meta || s.gone) return;
  s.drawn = meta;
  // What is the same needs no drawing, so that a chart behind it in the queue waits for nothing.
  if (s.figure !== meta.figure) {
    const { data, layout } = JSON.parse(meta.figure);
    Object.assign(layout, size(s));
    await Plotly.react(s.gd, data, layout, config(Plotly, meta));
    s.figure = meta.figure;
  }
  s.gd.setAttribute("aria-label", meta.alt);
  makePickable(s);
  makeAreas(s);
  if (s.areas) {
    colour(s, null);
    placeAreas(s);
  }
  if (s.nodes) {
    s.nodes.preview.style.display = "none";
    colour(s, s.nodes);
    place(s);
  }
}

// A square map in a narrow column needs no more height than its width, labels and legend.
function size(s) {
  const width = s.gd.clientWidth;
  return { width, height: s.meta.token_map ? Math.min(s.meta.height, width + 110) : s.meta.height };
}

function followWidth(s) {
  const request = oncePerFrame(() => {
    if (s.drawn && s.gd.clientWidth && s.gd.clientWidth !== s.gd._fullLayout.width) {
      s.drawing = Promise.resolve(s.drawing).then(() => s.gone || window.Plotly.relayout(s.gd, size(s)));
    }
  });
  const observer = new ResizeObserver(request);
  observer.observe(s.gd);
  return () => {
    observer.disconnect();
    request.cancel();
  };
}

export default component("chart", (root, source) => {
  const gd = element("div", "", "chart");
  gd.setAttribute("role", "img");
  gd.style.position = "relative";
  root.append(gd);
  /** @type {State} */
  const s = {
    root, source, gd, nodes: null, hovering: false, drawn: null, gone: false,
    picked: null, cursor: null, remote: { query: null, key: null },
  };
  const unfollow = followWidth(s);
  const stop = onHover(source, (query, key) => {
    if (!s.meta?.token_map) return;
    s.remote = { query, key };
    place(s);
  });
  const stopPreviews = onPreview((map) => showPreview(s, map));
  s.update = ({ meta }) => {
    s.meta = meta;
    s.shape = meta.shape;
    s.picked = meta.picked;
    gd.style.minHeight = size(s).height + "px";
    place(s);
    s.drawing = draw(s);
    return s.drawing;
  };
  s.destroy = () => {
    s.gone = true;
    stop();
    stopPreviews();
    unfollow();
    // Plotly must not lose a chart that it is still drawing.
    Promise.resolve(s.drawing).finally(() => window.Plotly?.purge(gd));
    gd.remove();
  };
  return s;
});
