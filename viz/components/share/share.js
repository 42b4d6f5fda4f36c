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
    said.textContent = (await copy(location.href)) ? "Copied" : "Copy it from the address bar";
    clearTimeout(clear);
    clear = setTimeout(() => (said.textContent = ""), 2500);
  });
  const instance = {
    update: () => {},
    destroy: () => {
      window.removeEventListener("popstate", moved);
      clearTimeout(clear);
      button.remove();
      said.remove();
    },
  };
  const moved = () => instance.pick(location.search);
  window.addEventListener("popstate", moved);
  return instance;
});
