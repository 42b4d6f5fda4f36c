// The Share button, and what of the addresses that the page writes becomes an entry in the browser's history. Back and Forward
// themselves are Streamlit's to answer: it asks for a run that is marked as such and has the address (viz/ui/state.py).
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard without https: select the link in a field, and let the old command copy it.
    const field = element("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    return copied;
  }
}

// The history, once for all pages. `touched`: whether the visitor has done anything since the last entry.
let touched = false;
/** @type {any} */
let mounted = null;
const write = { push: history.pushState.bind(history), replace: history.replaceState.bind(history) };
for (const name of ["pointerdown", "keydown", "click", "input"]) window.addEventListener(name, () => (touched = true), true);
window.addEventListener("popstate", () => (touched = false), true);

// Two addresses are no places to go back to, and the next one takes their place: one that the page completes by itself, and
// the new page's choices below the old page's path, which Streamlit writes before it changes the path.
history.pushState = (state, title, address) => {
  const next = new URL(address ?? location.href, location.href);
  const same = next.pathname === location.pathname;
  const completed = same && !touched;
  const corrected = !same && location.search && next.search === location.search;
  (completed || corrected ? write.replace : write.push)(state, title, address);
  touched = false;
};

// What others can open: the address bar's, below the host's public address where the operator has given one (the app may run
// inside another page, or at an address that only a proxy knows).
function shared({ home, public: known }) {
  if (!known) return location.href;
  const inside = location.pathname.startsWith(home) ? location.pathname.slice(home.length) : location.pathname;
  return known + inside + location.search;
}

// A server that was started anew knows nothing of this page, and Streamlit asks it for nothing until the visitor does
// something, which would be lost: the new session takes it for how things were. So it is asked for a run at once.
let connected = true;
new MutationObserver(() => {
  const state = /** @type {HTMLElement | null} */ (document.querySelector("[data-test-connection-state]"))?.dataset.testConnectionState;
  if (state === undefined) return;
  if (state === "CONNECTED" && !connected) mounted?.pick(location.search);
  connected = state === "CONNECTED";
}).observe(document.documentElement, { subtree: true, attributeFilter: ["data-test-connection-state"] });

export default component("share", (root) => {
  const button = element("button", "", "share");
  const said = element("span", "said");
  said.setAttribute("role", "status");
  button.type = "button";
  button.textContent = "Copy link";
  button.title = "Copies the address of exactly this picture";
  root.append(button, said);
  let clear;
  button.addEventListener("click", async () => {
    said.textContent = (await copy(shared(instance.meta))) ? "Copied" : "Copy it from the address bar";
    clearTimeout(clear);
    clear = setTimeout(() => (said.textContent = ""), 2500);
  });
  /** @type {any} */
  const instance = {
    meta: {},
    update: ({ meta }) => {
      instance.meta = meta;
      mounted = instance;
    },
    destroy: () => {
      if (mounted === instance) mounted = null;
      clearTimeout(clear);
      button.remove();
      said.remove();
    },
  };
  return instance;
});
