// What somebody unfolded stays so when its surroundings are drawn anew: `<details>` with an id, and the focus on its
// summary.
const kept = new Map(); // id → { open, focused }

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  for (const one of detail.target.querySelectorAll("details[id]")) {
    kept.set(one.id, { open: one.open, focused: document.activeElement === one.querySelector("summary") });
  }
});

document.addEventListener("htmx:afterSwap", () => {
  for (const [id, { open, focused }] of kept) {
    const one = document.getElementById(id);
    if (!one) continue;
    one.open = open;
    if (focused) one.querySelector("summary").focus({ preventScroll: true });
  }
  kept.clear();
});
