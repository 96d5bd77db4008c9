// A part of a page that is drawn anew leaves alone what somebody is doing in it: what they unfolded (`<details>` with an
// id), where the focus is, and, where the platform itself asked for the drawing, what they typed and have not sent.
const kept = { open: new Map(), typed: [], focus: undefined };
const NAMED_BY = ["href", "hx-get", "name", "value", "aria-label", "popovertarget"];

const quoted = text => `"${text.replace(/["\\]/g, "\\$&")}"`;
const within = (root, selector) => [root, ...root.querySelectorAll(selector)].filter(one => one.matches(selector));

// Finds the same element in the new drawing.
function sign(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  if (element.localName === "summary" && element.parentElement.id) return `#${CSS.escape(element.parentElement.id)} > summary`;
  const names = NAMED_BY.filter(name => element.hasAttribute(name));
  return names.length ? element.localName + names.map(name => `[${name}=${quoted(element.getAttribute(name))}]`).join("") : "";
}

function isChanged(field) {
  if (!field.name || field.disabled || field.type === "hidden" || field.type === "file" || "was" in field.dataset) return false;
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.localName === "select") return [...field.options].some(one => one.selected !== one.defaultSelected);
  return field.value !== field.defaultValue;
}

const formOf = field => field.form?.getAttribute("action") ?? "";

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const { target, elt } = detail;
  for (const one of within(target, "details[id]")) kept.open.set(one.id, one.open);
  const focused = document.activeElement;
  if (target.contains(focused)) kept.focus = { sign: sign(focused), from: focused.selectionStart, to: focused.selectionEnd };
  if (elt !== target || !target.matches("[data-live], [hx-trigger*='every ']")) return; // somebody asked, with all of it
  kept.typed = within(target, "input, select, textarea").filter(isChanged).map(field => ({ field, form: formOf(field) }));
});

document.addEventListener("htmx:afterSwap", () => {
  for (const [id, open] of kept.open) {
    const one = document.getElementById(id);
    if (one) one.open = open;
  }
  kept.typed.forEach(put);
  const { focus } = kept;
  kept.open.clear();
  kept.typed = [];
  kept.focus = undefined;
  if (!focus?.sign || document.activeElement !== document.body) return;
  const same = document.querySelector(focus.sign);
  same?.focus({ preventScroll: true });
  if (typeof focus.from === "number") same?.setSelectionRange?.(focus.from, focus.to);
});

function put({ field, form }) {
  const choice = field.type === "checkbox" || field.type === "radio";
  const same = [...document.getElementsByName(field.name)].find(one => one !== field && formOf(one) === form && one.type === field.type && (!choice || one.value === field.value));
  if (!same) return;
  if (choice) same.checked = field.checked;
  else same.value = field.value;
}
