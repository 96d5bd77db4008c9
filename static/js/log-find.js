// Finds words in the logs of a page and says which of how many one is at. The browser paints the hits over the lines
// (custom highlights), so nothing is in the way of lines that come meanwhile. Its bar also wraps lines and hides times.
const field = document.querySelector("[data-log-find]");
const MOST = 2000;
let hits = [], at = -1, timer;

const lines = () => document.querySelectorAll(".log .log__line > span:last-child");

// Where `word` is in one line, whose text may be cut into pieces by colours.
function* found(line, word) {
  const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT), nodes = [];
  for (let node, start = 0; (node = walker.nextNode()); start += node.length) nodes.push({ node, start });
  const text = line.textContent.toLowerCase();
  const place = index => {
    const { node, start } = nodes.findLast(one => one.start <= index);
    return [node, index - start];
  };
  for (let index = text.indexOf(word); index >= 0; index = text.indexOf(word, index + word.length)) {
    const range = new Range();
    range.setStart(...place(index));
    const [node, offset] = place(index + word.length - 1);
    range.setEnd(node, offset + 1);
    yield range;
  }
}

function look() {
  const word = field.value.trim().toLowerCase();
  hits = [];
  for (const line of word ? lines() : []) {
    for (const range of found(line, word)) hits.push(range);
    if (hits.length >= MOST) break;
  }
  at = Math.min(at, hits.length - 1);
  paint();
}

function paint() {
  const of = `${hits.length.toLocaleString()}${hits.length >= MOST ? "+" : ""}`;
  const said = !field.value.trim() ? "" : !hits.length ? "None" : at < 0 ? of : `${at + 1} of ${of}`;
  document.querySelector("[data-log-hits]").textContent = said;
  document.querySelectorAll("[data-log-next]").forEach(button => { button.hidden = !hits.length; });
  if (!window.Highlight) return;
  CSS.highlights.set("log-found", new Highlight(...hits));
  CSS.highlights.set("log-current", new Highlight(...(hits[at] ? [hits[at]] : [])));
}

function go(by) {
  if (!hits.length) return;
  at = (at + by + hits.length) % hits.length;
  hits[at].startContainer.parentElement.closest(".log__line").scrollIntoView({ block: "center" });
  paint();
}

if (field) {
  document.querySelectorAll("[data-log-tool]").forEach(tool => { tool.hidden = false; });
  field.addEventListener("input", () => { at = -1; look(); });
  field.addEventListener("keydown", event => {
    if (event.key === "Enter") event.preventDefault(), go(event.shiftKey ? -1 : 1);
  });
  new MutationObserver(() => {
    if (!field.value.trim()) return;
    clearTimeout(timer);
    timer = setTimeout(look, 200);
  }).observe(document.getElementById("main"), { childList: true, subtree: true });
}

addEventListener("click", event => {
  const step = event.target.closest?.("[data-log-next]"), toggle = event.target.closest?.("[data-log-toggle]");
  if (step) go(Number(step.dataset.logNext));
  if (!toggle) return;
  const on = toggle.getAttribute("aria-pressed") !== "true";
  toggle.setAttribute("aria-pressed", on);
  document.querySelectorAll(".log").forEach(log => log.classList.toggle(toggle.dataset.logToggle, !on));
});
