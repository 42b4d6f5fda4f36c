// The Share button, and the browser's Back and Forward: a visitor who goes back is shown what was there.
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

// The history, once for all pages. `here`: the path of the entry that is shown; `touched`: whether the visitor has done
// anything there; `arrived`: where Back or Forward led to on another page, told to the server once that page is there;
// `mounted`: the part that can tell it.
let here = location.pathname;
let touched = false;
let arrived = null;
let mounted = null;
const write = { push: history.pushState.bind(history), replace: history.replaceState.bind(history) };
for (const name of ["pointerdown", "keydown", "click", "input"]) window.addEventListener(name, () => (touched = true), true);

// Two addresses are no places to go back to, and the next one takes their place: one that the page completes by itself, and
// the new page's choices below the old page's path, which Streamlit writes before it changes the path.
history.pushState = (state, title, address) => {
  const next = new URL(address ?? location.href, location.href);
  const same = next.pathname === location.pathname;
  const completed = same && !touched;
  const corrected = !same && location.search && next.search === location.search;
  (completed || corrected ? write.replace : write.push)(state, title, address);
  here = location.pathname;
  if (!same) touched = false;
};

// Back to another page is Streamlit's to answer first: a rerun of this page, asked for meanwhile, would undo it. So the
// server is told a moment later, once for several quick steps, and not at all where they lead to another page.
let soon = 0;
window.addEventListener("popstate", () => {
  clearTimeout(soon);
  const stayed = location.pathname === here;
  here = location.pathname;
  touched = false;
  if (stayed) soon = setTimeout(() => mounted?.pick(location.search), 50);
  else {
    arrived = location.href;
    // Streamlit loses the way when the page left asks for a rerun just then; loading the address anew always finds it.
    const left = mounted;
    soon = setTimeout(() => left && left === mounted && location.reload(), 4000);
  }
});

// What others can open: the address bar's, below the host's public address where the operator has given one (the app may run
// inside another page, or at an address that only a proxy knows).
function shared({ home, public: known }) {
  if (!known) return location.href;
  const inside = location.pathname.startsWith(home) ? location.pathname.slice(home.length) : location.pathname;
  return known + inside + location.search;
}

// A server that was started anew knows nothing of this page, and Streamlit asks it for nothing until the visitor does
// something, which would be lost: the new session takes it for how things were. So it is told the address at once.
let connected = true;
new MutationObserver(() => {
  const state = document.querySelector("[data-test-connection-state]")?.dataset.testConnectionState;
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
  let due = arrived; // the page left is still there when Back leads to another: only a part made since then may tell
  let clear;
  button.addEventListener("click", async () => {
    said.textContent = (await copy(shared(instance.meta))) ? "Copied" : "Copy it from the address bar";
    clearTimeout(clear);
    clear = setTimeout(() => (said.textContent = ""), 2500);
  });
  const instance = {
    meta: {},
    update: ({ meta }) => {
      instance.meta = meta;
      mounted = instance;
      if (due !== null && due === location.href) instance.pick(location.search);
      if (due !== null) arrived = due = null;
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
