// The window's title and icon say how things stand: `data-title` of an element that the page draws anew (and `data-done`
// once that work has ended before one's eyes), or on a board what its cards are doing. `◐ ↑ ✓ ✕` at the start pick the icon. After a success both calm down once the tab is left.
const icon = document.querySelector("link[rel=icon]");
const plain = { title: document.title, href: icon?.href };
const ICONS = { "◐": "building", "↑": "releasing", "✓": "live", "✕": "failed" };
let worked = false, calmed;

function story() {
  const shown = element => !element.closest("dialog:not([open])"); // a closed dialog keeps what it showed last
  const told = [...document.querySelectorAll("[data-title]")].find(shown)?.dataset;
  if (!told) return ofBoard();
  if (/^[◐↑]/.test(told.title)) worked = true;
  return told.title || (worked && told.done) || "";
}

function ofBoard() {
  const board = document.querySelector(".board");
  if (!board) return "";
  const count = state => board.querySelectorAll(`.card[data-state="${state}"]`).length;
  const [building, releasing] = [count("building"), count("releasing")];
  if (building || releasing) worked = true;
  if (building) return `◐ ${building} building · ${plain.title}`;
  if (releasing) return `↑ ${releasing} releasing · ${plain.title}`;
  return worked ? `${count("crashed") + board.querySelectorAll(".card .strip--bad").length ? "✕" : "✓"} ${plain.title}` : "";
}

function draw() {
  const title = story();
  const calm = title && title === calmed;
  document.title = (calm ? title.slice(2) : title) || plain.title;
  const state = !calm && ICONS[title[0]];
  if (icon) icon.href = state ? plain.href.replace("icon.svg", `icon-${state}.svg`) : plain.href;
}

document.addEventListener("htmx:afterSettle", draw);
document.addEventListener("close", draw, true);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden || !document.title.startsWith("✓")) return;
  calmed = story();
  worked = false;
  draw();
});
draw();
