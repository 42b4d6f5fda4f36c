// Takes the page to its top when what is shown has become another thing. What was shown is remembered outside the
// mounted part, which may itself be mounted anew with it.
let lastShown = null;

export default component("scroll_up", () => ({
  update: ({ meta }) => {
    const before = lastShown;
    lastShown = meta.shown;
    if (before === null || before === meta.shown) return;
    document.querySelector('[data-testid="stMain"]')?.scrollTo({ top: 0 });
  },
  destroy: () => {},
}));
