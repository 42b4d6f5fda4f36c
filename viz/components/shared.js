// Prepended by parts.py to every component's script.

const TYPES = { U8: Uint8Array, U16: Uint16Array };

// safetensors: header length (8 bytes, little endian), JSON header, data. The payload starts anywhere inside
// the websocket message, so wider types are copied to be aligned.
/** @type {(bytes: Uint8Array) => Payload} */
function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  const arrays = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = entry.data_offsets;
    const raw = bytes.subarray(start + from, start + to);
    const array = entry.dtype === "U8" ? raw : new TYPES[entry.dtype](raw.slice().buffer);
    arrays[name] = { array, shape: entry.shape };
  }
  return { meta: JSON.parse(header.__metadata__.json), arrays };
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [className]
 * @param {string} [testid]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function element(tag, className, testid) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (testid) node.dataset.testid = testid;
  return node;
}

// The 2d context of a canvas, which is null only where the canvas was already used otherwise.
/** @param {HTMLCanvasElement} canvas */
function drawingOn(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

// Characters that draw nothing, or turn the text around them, become visible signs.
/** @param {string} label */
function visible(label) {
  if (label === "") return "∅";
  if (/^ +$/.test(label)) return "␣".repeat(label.length);
  return label
    .replace(/\n/g, "↵")
    .replace(/\t/g, "⇥")
    // eslint-disable-next-line no-control-regex -- they are what is looked for
    .replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\u007f/g, "␡")
    .replace(/[\u0080-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (c) => {
      return "⟨" + c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0") + "⟩";
    });
}

// All parts of the page tell each other which cell is looked at, without asking the server.
const HOVER = "headlight:hover";

/** @type {(source: string, query: number | null, key: number | null) => void} */
function sendHover(source, query, key) {
  window.dispatchEvent(new CustomEvent(HOVER, { detail: { query, key, source } }));
}

/** @type {(source: string, handler: (query: number | null, key: number | null) => void) => () => void} */
function onHover(source, handler) {
  const listener = (/** @type {any} */ event) => {
    const { query, key, source: from } = event.detail || {};
    const index = (/** @type {any} */ value) => (Number.isInteger(value) && value >= 0 ? value : null);
    if (from !== source) handler(index(query), index(key));
  };
  window.addEventListener(HOVER, listener);
  return () => window.removeEventListener(HOVER, listener);
}

// The small map of a head that was just picked, for the large one to show until the server's numbers are in.
const PREVIEW = "headlight:preview";

/** @param {HTMLCanvasElement} canvas */
function sendPreview(canvas) {
  window.dispatchEvent(new CustomEvent(PREVIEW, { detail: { canvas } }));
}

/** @type {(handler: (canvas: HTMLCanvasElement) => void) => () => void} */
function onPreview(handler) {
  const listener = (/** @type {any} */ event) => event.detail?.canvas instanceof HTMLCanvasElement && handler(event.detail.canvas);
  window.addEventListener(PREVIEW, listener);
  return () => window.removeEventListener(PREVIEW, listener);
}

// One paint per frame, however many events asked for it.
/** @param {() => void} paint */
function oncePerFrame(paint) {
  let frame = 0;
  const request = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      paint();
    });
  };
  request.cancel = () => {
    cancelAnimationFrame(frame);
    frame = 0;
  };
  return request;
}

// Streamlit calls the default export again for every new data, on the same parentElement, and calls the returned
// cleanup on unmount - but also when a call was overtaken by a newer one. Only the newest cleanup may destroy.
/** @type {(name: string, create: (root: Mounted["parentElement"], source: string) => Part) => (mounted: Mounted) => () => void} */
function component(name, create) {
  const instances = new WeakMap();
  let count = 0;
  return ({ data, parentElement, setTriggerValue }) => {
    let instance = instances.get(parentElement);
    if (!instance) {
      instance = create(parentElement, name + "-" + ++count);
      instance.calls = 0;
      instances.set(parentElement, instance);
    }
    const call = ++instance.calls;
    instance.pick = (value) => setTriggerValue("pick", value);
    if (data instanceof Uint8Array && isSmall(data)) {
      const newest = () => instances.get(parentElement) === instance && instance.calls === call;
      inflate(data.slice(4)).then((raw) => newest() && instance.update(unpack(raw)));
    } else if (data instanceof Uint8Array) instance.update(unpack(data));
    return () => {
      if (instance.calls !== call) return;
      instances.delete(parentElement);
      instance.destroy();
    };
  };
}

// Bytes that Python's zlib made small.
/** @param {Uint8Array<ArrayBuffer>} bytes */
async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {Uint8Array} bytes */
function isSmall(bytes) {
  return String.fromCharCode(...bytes.subarray(0, 4)) === "zlib";
}

// Weights come in steps of 1/10,000, each with 1 added: 0 says that looking is not allowed.
const STEPS = 10000;
const LOWEST = 1e-3; // where a logarithmic colour scale begins

// Place on the colour ramp, 0 to 255, for each of these codes.
/** @param {string} colours "log" or "linear" */
function rampPlaces(colours) {
  const places = new Uint8Array(STEPS + 2);
  for (let code = 1; code < places.length; code++) {
    const value = (code - 1) / STEPS;
    const place = colours === "log" ? 1 - Math.log10(Math.max(value, LOWEST)) / Math.log10(LOWEST) : value;
    places[code] = Math.round(255 * Math.min(1, place));
  }
  return places;
}

// A weight in words: four decimals, small ones as such.
/** @param {number} code */
function weightText(code) {
  const value = (code - 1) / STEPS;
  return value < 0.5 / STEPS ? "below 0.0001" : value.toFixed(4);
}
