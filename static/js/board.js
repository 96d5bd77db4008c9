// The board: keys that move between cards, the filter box, the stage tabs of a phone, and what a changed card means
// for its neighbours, for the counts above and for people who listen instead of looking.
const cards = () => [...document.querySelectorAll(".board .card")].filter(card => card.offsetParent);
const chosen = () => document.activeElement?.closest(".board .card");

// --- keys: h j k l move, p promotes, o opens the site -----------------------------------------------------------
addEventListener("keydown", event => {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select") || document.querySelector("dialog:modal")) return;
  const card = chosen();
  if ("hjkl".includes(event.key)) move(card, event.key);
  else if (event.key === "p") (card ?? document).querySelector("[data-promote]")?.click();
  else if (event.key === "o") card?.querySelector("[data-site]")?.click();
});

function move(card, key) {
  if (!card) return cards()[0]?.focus();
  const lanes = [...document.querySelectorAll(".board .lane")].map(lane => cards().filter(one => lane.contains(one)));
  const filled = lanes.filter(lane => lane.length);
  const column = filled.findIndex(lane => lane.includes(card));
  const row = filled[column].indexOf(card);
  const across = filled[column + { h: -1, l: 1, j: 0, k: 0 }[key]];
  const next = key === "j" || key === "k" ? filled[column][row + (key === "j" ? 1 : -1)] : across?.[Math.min(row, across.length - 1)];
  (next ?? card).focus();
}

// --- the filter box ------------------------------------------------------------------------------------------------
function filter() {
  const words = (document.querySelector("[data-board-filter]")?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  document.querySelectorAll(".board .card").forEach(card => {
    const text = card.innerText.toLowerCase() + [...card.querySelectorAll("[title]")].map(one => one.title).join(" ").toLowerCase();
    card.parentElement.toggleAttribute("data-out", !words.every(word => text.includes(word)));
  });
}
addEventListener("input", event => {
  if (event.target.matches("[data-board-filter]")) filter();
});

// --- after a card or the board was drawn anew ------------------------------------------------------------------------
const before = new Map();   // id → how the card was

document.addEventListener("htmx:beforeSwap", event => {
  const card = event.detail.target;
  if (!card.matches?.(".board .card")) return;
  if (card.querySelector("[popover]:popover-open")) {   // someone is choosing: draw it when they have
    event.detail.shouldSwap = false;
    card.querySelector("[popover]:popover-open").addEventListener("toggle", () => window.htmx.trigger(card, "nudge"), { once: true });
    return;
  }
  before.set(card.id, { version: card.dataset.version, state: card.dataset.state, focused: card.contains(document.activeElement) });
});

document.addEventListener("htmx:afterSettle", event => {
  if (event.target.id === "board") filter(), count();
  const was = before.get(event.target.id);
  if (!was) return;
  before.delete(event.target.id);
  changed(event.target, was);
});

function changed(card, was) {
  filter();
  count();
  if (was.focused && !card.contains(document.activeElement)) card.focus();
  if (was.state !== card.dataset.state) speak(`${card.querySelector("h3").innerText}: ${card.querySelector(".status").innerText}.`);
  if (was.version === card.dataset.version) return;
  const stages = [...document.querySelectorAll(".board .stage")];      // how far the neighbours are ahead or behind
  const at = stages.findIndex(stage => stage.contains(card));
  for (const stage of [stages[at - 1], stages[at + 1]]) {
    stage?.querySelectorAll(".card").forEach(one => window.htmx.trigger(one, "nudge"));
  }
}

function count() {
  document.querySelectorAll("[data-chip]").forEach(chip => {
    const number = document.querySelectorAll(`.board .card[data-state="${chip.dataset.chip}"]`).length;
    chip.querySelector("[data-count]").textContent = number;
    chip.hidden = !number && !chip.hasAttribute("aria-current");
  });
}

let spokenAt = 0;
function speak(sentence) {
  if (Date.now() - spokenAt < 3000) return;
  spokenAt = Date.now();
  document.getElementById("spoken").textContent = sentence;
}

// --- clocks of what is under way -------------------------------------------------------------------------------------
setInterval(() => {
  document.querySelectorAll("time[data-clock]").forEach(time => {
    const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(time.dateTime)) / 1000));
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    const pad = number => String(number).padStart(2, "0");
    time.textContent = hours ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}` : `${minutes}:${pad(seconds % 60)}`;
  });
}, 1000);

// --- stage tabs on a phone: mark the stage in view ---------------------------------------------------------------------
const board = document.querySelector(".board");
const tabs = document.querySelectorAll(".stage-tabs a");
const watch = new IntersectionObserver(seen => seen.forEach(one => {
  if (one.isIntersecting) tabs.forEach(tab => tab.setAttribute("aria-current", tab.hash === `#${one.target.id}`));
}), { root: board, threshold: 0.6 });
board?.querySelectorAll(".stage").forEach(stage => watch.observe(stage));
addEventListener("click", event => {
  const tab = event.target.closest(".stage-tabs a");
  if (!tab) return;
  event.preventDefault();
  document.querySelector(tab.hash)?.scrollIntoView({ inline: "start", block: "nearest" });
});
