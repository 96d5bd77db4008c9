// Keys without Ctrl or Alt, ignored while typing and under a dialog, and switched off as a whole by
// `data-single-keys="off"` on <body>. A module adds its own with `shortcut`; the help sheet shows those that work here.
const known = [];
let lead = "";

const off = () => document.body.dataset.singleKeys === "off";
const typing = target => target.closest?.("input, textarea, select, [contenteditable]:not([contenteditable=false])");
const find = selector => document.querySelector(selector);
const card = () => document.activeElement?.closest?.(".card");

// `keys` is a list of keys that do the same kind of thing, or of two that are pressed one after the other if `then`;
// `works()` says whether it does anything on this page now, `act(key, event)` does it.
export function shortcut({ keys, words, works, act, then = false }) {
  known.push({ keys, words, works, act, then });
}

addEventListener("keydown", event => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  if (off() || typing(event.target) || find("dialog:modal")) return;
  const two = lead === "g" && known.find(one => one.then && one.keys[1] === event.key && one.works());
  const one = !two && known.find(one => !one.then && one.keys.includes(event.key) && one.works());
  lead = event.key === "g" && lead !== "g" ? "g" : "";
  (two || one || undefined)?.act(event.key, event);
});

// --- everywhere -------------------------------------------------------------------------------------------------------
shortcut({ keys: ["/"], words: "Search or jump", works: () => find('[data-open="jump"]'), act: (key, event) => {
  event.preventDefault();
  find('[data-open="jump"]').click();
} });
for (const [key, words] of [["p", "Go to pipelines"], ["b", "Go to this pipeline’s board"], ["a", "Go to activity"]]) {
  const link = () => find(`[data-go="${key}"]`);
  shortcut({ keys: ["g", key], then: true, words, works: link, act: () => link().click() });
}
const logs = () => card()?.querySelector("[data-logs]") ?? find('[data-go="l"]');
shortcut({ keys: ["g", "l"], then: true, words: "Go to logs", works: () => logs() ?? find(".card [data-logs]"), act: () => logs()?.click() });
const promote = () => card()?.querySelector("[data-promote]") ?? (card() ? null : find("[data-promote]"));
shortcut({ keys: ["p"], words: "Promote the selected app", works: () => find("[data-promote]"), act: () => promote()?.click() });
const site = () => card()?.querySelector("[data-site]") ?? find("[data-site]:not(.card *)");
shortcut({ keys: ["o"], words: "Open the app’s site", works: () => find("[data-site]"), act: () => site()?.click() });
shortcut({ keys: ["?"], words: "Show this list", works: () => find("#shortcuts"), act: () => find('[data-open="shortcuts"]')?.click() });

// --- the help sheet ---------------------------------------------------------------------------------------------------
const sheet = document.getElementById("shortcuts");
sheet?.addEventListener("opened", () => {
  const list = sheet.querySelector("dl");
  const rows = off() ? [] : known.filter(one => one.works()).map(({ keys, words }) => {
    const row = document.createElement("div");
    const [name, value] = [document.createElement("dt"), document.createElement("dd")];
    name.textContent = words;
    value.append(...keys.map(key => Object.assign(document.createElement("kbd"), { textContent: key === " " ? "space" : key })));
    row.append(name, value);
    return row;
  });
  list.replaceChildren(...rows);
  list.hidden = !rows.length;
  sheet.querySelector("[data-keys-off]").hidden = !off();
});
