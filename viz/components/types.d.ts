// Types that the scripts in this folder share; read by `tsc --checkJs` alone, never served.

interface Window {
  Plotly: any; // Streamlit's own plotly.js, or ours (chart.js)
}

// A tensor of a payload in safetensors format.
interface Packed {
  array: Uint8Array | Uint16Array;
  shape: number[];
}

interface Payload {
  meta: any;
  arrays: Record<string, Packed>;
}

// One mounted part. `pick` and `calls` are set by `component`.
interface Part {
  update(payload: Payload): unknown;
  destroy(): void;
  pick?(value: unknown): void;
  calls?: number;
}

// What a part remembers between two updates; it becomes a `Part` when its two functions are set.
type State = any;

// What Streamlit calls a script's default export with.
interface Mounted {
  data: unknown;
  parentElement: HTMLElement | ShadowRoot;
  setTriggerValue(name: string, value: unknown): void;
}
