// The command palette: the list box of #jump. Arrows choose, Enter opens, a click does too; what was visited last is
// remembered in this browser and sent along, so that it comes first.
const dialog = document.getElementById("jump");
const field = dialog?.querySelector("input");
const list = document.getElementById("jump-results");
const said = document.getElementById("jump-said");
let eager = false; // Enter came before the answer did

const options = () => [...list.querySelectorAll("[role=option][href]")];
const chosen = () => list.querySelector('[aria-selected="true"]');

function choose(option) {
  chosen()?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option ? field.setAttribute("aria-activedescendant", option.id) : field.removeAttribute("aria-activedescendant");
  option?.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const all = options();
  const at = all.indexOf(chosen());
  choose(all[(at + by + all.length) % all.length]);
}

field?.addEventListener("keydown", event => {
  if (event.isComposing) return;
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by) event.preventDefault(), step(by);
  if (event.key !== "Enter") return;
  event.preventDefault();
  if (field.dataset.shown !== field.value) eager = true;
  else chosen()?.click();
});

// The pointer chooses when it moves, not when the list moves under it.
list?.addEventListener("pointermove", event => {
  const option = event.target.closest("[role=option][href]");
  if (option && option !== chosen()) choose(option);
});
list?.addEventListener("click", event => {
  if (event.target.closest("[role=option][href]")) dialog.close();
});

dialog?.addEventListener("opened", () => {
  field.value = "";
  delete field.dataset.shown;
  eager = false;
});

document.addEventListener("htmx:configRequest", event => {
  if (!dialog?.contains(event.target) || event.detail.path !== dialog.dataset.search) return;
  event.detail.parameters.q = field.value;
  event.detail.parameters.recent = visited().join(",");
});

document.addEventListener("htmx:afterSwap", event => {
  if (event.detail.target !== list) return;
  const all = options();
  field.dataset.shown = new URL(event.detail.xhr.responseURL).searchParams.get("q") ?? "";
  choose(all[0]);
  said.textContent = all.length === 1 ? "1 result" : `${all.length} results`;
  if (eager && field.dataset.shown === field.value) (eager = false), chosen()?.click();
});

// --- what was visited last ---------------------------------------------------------------------------------------------
function visited() {
  try { return JSON.parse(localStorage.getItem("visited")) ?? []; } catch { return []; }
}

function note() {
  const [, kind, name] = /^\/(app|pipeline)s\/([\w-]+)\//.exec(location.pathname) ?? [];
  if (!name || !document.querySelector(`.crumbs a[href="/${kind}s/${name}/"]`)) return;
  const key = `${kind}:${name}`;
  const all = [key, ...visited().filter(one => one !== key)].slice(0, 12);
  try { localStorage.setItem("visited", JSON.stringify(all)); } catch { /* a private window */ }
}
note();
