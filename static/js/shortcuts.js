// Single keys, ignored while typing: `/` and `?` open dialogs, `g` and a letter follow the link with that `data-go`.
let lead = "";

const typing = target => target.closest?.("input, textarea, select, [contenteditable]");
const click = selector => document.querySelector(selector)?.click();

addEventListener("keydown", event => {
  if (event.metaKey || event.ctrlKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog:modal")) return;
  if (lead === "g") go(event.key);
  else if (event.key === "/") {
    event.preventDefault();
    click('[data-open="jump"]');
  } else if (event.key === "?") click('[data-open="shortcuts"]');
  lead = event.key === "g" && lead !== "g" ? "g" : "";
});

function go(key) {
  const card = document.activeElement?.closest(".card");
  const link = (key === "l" && card?.querySelector("[data-logs]")) || document.querySelector(`[data-go="${CSS.escape(key)}"]`);
  link?.click();
}
