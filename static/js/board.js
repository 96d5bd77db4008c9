// The board: keys that move between cards, the filter box, the stage tabs of a phone, and what a changed card means
// for its neighbours, for the counts above and for people who listen instead of looking.
import { shortcut } from "./shortcuts.js";

const cards = () => [...document.querySelectorAll(".board .card")].filter(card => card.offsetParent);
const chosen = () => document.activeElement?.closest(".board .card");

// --- links to dialogs -------------------------------------------------------------------------------------------
// A plain link each, followed as one without script or with a modifier key.
addEventListener("click", event => {
  const link = event.target.closest?.("a[data-dialog], a[data-promote]");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  link.closest("[popover]")?.hidePopover();
  window.htmx.ajax("GET", link.href, { target: "#dialog", swap: "innerHTML" });
});

// --- menus of cards are filled when they open; the output of a promotion brings its script along -------------------
document.addEventListener("toggle", event => {
  const menu = event.target;
  if (event.newState !== "open" || !menu.dataset?.menu) return;
  window.htmx.ajax("GET", menu.dataset.menu, { target: menu, swap: "innerHTML" });
  delete menu.dataset.menu;
}, true);
document.addEventListener("htmx:load", event => {
  if (event.target.querySelector?.(".log[data-log]")) import(new URL("log.js", import.meta.url));
});

// --- keys: h j k l move; p and o are those of every page -----------------------------------------------------------
shortcut({ keys: ["h", "j", "k", "l"], words: "Move between cards", works: () => cards().length, act: key => move(chosen(), key) });

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

// --- dragging a card's grip onto the next stage is pressing its button --------------------------------------------
const stageOf = id => document.getElementById(id)?.querySelector(".card__head [data-grip]")?.dataset.grip;
let dragged;   // the id of the card: it may be drawn anew meanwhile

addEventListener("dragstart", event => {
  const grip = event.target.closest?.("[data-grip]");
  if (!grip) return;
  const card = grip.closest(".card");
  dragged = card.id;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", card.querySelector("h3").innerText);
  event.dataTransfer.setDragImage(card, 24, 24);
  document.getElementById(grip.dataset.grip)?.setAttribute("data-target", "");
});

for (const type of ["dragover", "drop"]) addEventListener(type, event => {
  const stage = dragged && event.target.closest?.(".stage");
  document.querySelectorAll(".stage[data-over]").forEach(one => one !== stage && one.removeAttribute("data-over"));
  if (!stage || stage.id !== stageOf(dragged)) return;
  event.preventDefault();
  stage.toggleAttribute("data-over", type === "dragover");
  if (type === "drop") document.getElementById(dragged).querySelector("[data-promote]")?.click();
});

addEventListener("dragend", () => {
  dragged = undefined;
  document.querySelectorAll(".stage").forEach(stage => ["data-target", "data-over"].forEach(name => stage.removeAttribute(name)));
});

// --- the filter box and the chips -----------------------------------------------------------------------------------
// What they ask for stands in the address, so that it can be kept and passed on. A page that holds all the cards hides
// some of them; a page that does not has the server look.
const box = () => document.querySelector("[data-board-filter]");
const only = () => document.querySelector("[data-chip][aria-current]")?.dataset.chip ?? "";
const states = card => card.dataset.state.split(" ");
let timer;

function filter() {
  if (document.getElementById("board").hasAttribute("data-partial")) return;
  const words = box().value.toLowerCase().split(/\s+/).filter(Boolean);
  document.querySelectorAll(".board .card").forEach(card => {
    const text = card.innerText.toLowerCase() + [...card.querySelectorAll("[title]")].map(one => one.title).join(" ").toLowerCase();
    const wanted = (!only() || states(card).includes(only())) && words.every(word => text.includes(word));
    card.parentElement.toggleAttribute("data-out", !wanted);
  });
}

function narrow() {
  const url = new URL(location);
  url.hash = "";
  url.searchParams.delete("page");
  for (const [name, value] of [["q", box().value.trim()], ["only", only()]]) {
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
  }
  history.replaceState(history.state, "", url);
  clearTimeout(timer);
  if (!document.getElementById("board").hasAttribute("data-partial")) return filter();
  timer = setTimeout(() => {
    window.htmx.ajax("GET", url.href, { source: "#board", target: "#board", select: "#board", swap: "outerHTML" });
  }, 200);
}

addEventListener("input", event => {
  if (event.target.matches("[data-board-filter]")) narrow();
});
addEventListener("submit", event => {
  if (event.target.querySelector("[data-board-filter]")) event.preventDefault();
});
addEventListener("click", event => {
  const chip = event.target.closest?.("[data-chip]");
  if (!chip || event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  const on = !chip.hasAttribute("aria-current");
  document.querySelectorAll("[data-chip]").forEach(one => one.removeAttribute("aria-current"));
  if (on) chip.setAttribute("aria-current", "true");
  narrow();
});

// --- after a card or the board was drawn anew ------------------------------------------------------------------------
const before = new Map();   // id → how the card was

document.addEventListener("htmx:beforeSwap", event => {
  const drawn = event.detail.target;
  if (drawn.id !== "board" && !drawn.matches?.(".board .card")) return;
  const menu = drawn.querySelector("[popover]:popover-open");
  if (menu) {   // someone is choosing: draw it when they have
    event.detail.shouldSwap = false;
    menu.addEventListener("toggle", () => window.htmx.trigger(drawn, "nudge"), { once: true });
    return;
  }
  for (const card of drawn.id === "board" ? drawn.querySelectorAll(".card") : [drawn]) {
    before.set(card.id, { version: card.dataset.version, state: card.dataset.state, focused: card.contains(document.activeElement) });
  }
});

document.addEventListener("htmx:afterSettle", event => {
  const drawn = event.target;
  if (drawn.id === "board") {
    drawn.querySelectorAll(".card").forEach(card => greet(card, before.get(card.id)));
    before.clear();
    filter();
  }
  const was = before.get(drawn.id);
  if (!was) return;
  before.delete(drawn.id);
  was.state.split(" ").forEach(state => count(state, -1));
  states(drawn).forEach(state => count(state, 1));
  filter();
  greet(drawn, was);
  if (was.version !== drawn.dataset.version) compareAnew(drawn);
});

function greet(card, was) {
  if (!was) return;
  if (was.focused && !card.contains(document.activeElement)) card.focus();
  if (was.state !== card.dataset.state) speak(`${card.querySelector("h3").innerText}: ${card.querySelector(".strip--warn strong, .status").innerText}.`);
}

// How far the neighbours are ahead or behind has changed with the code of a card. Of many, the board knows it at once.
const stale = new Set();
function compareAnew(card) {
  const stages = [...document.querySelectorAll(".board .stage")];
  const at = stages.findIndex(stage => stage.contains(card));
  const near = [stages[at - 1], stages[at + 1]].flatMap(stage => [...(stage?.querySelectorAll(".card") ?? [])]);
  if (!stale.size) setTimeout(() => {
    const cards = [...stale].map(id => document.getElementById(id)).filter(Boolean);
    stale.clear();
    (cards.length > 4 ? [document.getElementById("board")] : cards).forEach(one => window.htmx.trigger(one, "nudge"));
  }, 300);
  near.forEach(one => stale.add(one.id));
}

function count(state, by) {
  const chip = document.querySelector(`[data-chip="${state}"]`);
  if (!chip) return;
  const number = chip.querySelector("[data-count]");
  number.textContent = Math.max(Number(number.textContent) + by, 0);
  chip.hidden = number.textContent === "0" && !chip.hasAttribute("aria-current");
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
// It begins with the first one that has an app, and a board that is drawn anew stays where it was.
let watch, across = 0;

// Sideways only: the page itself stays where it is.
function bring(one, row, share) {
  const [inner, outer] = [one, row].map(each => each.getBoundingClientRect());
  row.scrollLeft += inner.left + inner.width * share - outer.left - outer.width * share;
}
function watchStages() {
  watch?.disconnect();
  const board = document.getElementById("board");
  watch = new IntersectionObserver(seen => seen.forEach(one => {
    if (!one.isIntersecting) return;
    document.querySelectorAll(".stage-tabs a").forEach(tab => {
      const here = tab.hash === `#${one.target.id}`;
      tab.setAttribute("aria-current", here);
      if (here) bring(tab, tab.parentElement, 0.5);
    });
  }), { root: board, threshold: 0.6 });
  board.querySelectorAll(".stage").forEach(stage => watch.observe(stage));
}
document.addEventListener("htmx:beforeSwap", event => {
  if (event.target.id === "board") across = event.target.scrollLeft;
});
document.addEventListener("htmx:afterSettle", event => {
  if (event.target.id !== "board") return;
  document.getElementById("board").scrollLeft = across;
  watchStages();
});
addEventListener("click", event => {
  const tab = event.target.closest(".stage-tabs a");
  if (!tab) return;
  event.preventDefault();
  const stage = document.querySelector(tab.hash);
  if (stage) bring(stage, stage.parentElement, 0);
});
if (!location.hash && document.querySelector(".stage-tabs")?.offsetParent) {
  const stage = document.querySelector(".stage:has(.card)");
  if (stage) bring(stage, stage.parentElement, 0);
}
watchStages();
