// A form that was sent says so on its button, and is not sent again before it is answered: who presses twice means once.
const PATIENCE = 10_000; // milliseconds; an answer may leave the page as it is, as a download does
const busy = new Map(); // form → what is to be taken back

function begin(form, button) {
  button?.setAttribute("aria-busy", "true");
  busy.set(form, { button, timer: setTimeout(end, PATIENCE, form) });
}

function end(form) {
  const { button, timer } = busy.get(form) ?? {};
  clearTimeout(timer);
  button?.removeAttribute("aria-busy");
  busy.delete(form);
}

addEventListener("submit", event => {
  if (!busy.has(event.target)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

// htmx has its own way of sending, which it tells of; what else was prevented is not sent at all.
addEventListener("submit", ({ target, submitter, defaultPrevented }) => {
  const byHtmx = target.matches("[hx-post]") || submitter?.matches("[hx-post]");
  if ((submitter?.formMethod || target.getAttribute("method")) === "post" && (byHtmx || !defaultPrevented)) begin(target, submitter);
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  for (const form of [...busy.keys()]) if (form === detail.elt || form.contains(detail.elt)) end(form);
});

addEventListener("pageshow", () => [...busy.keys()].forEach(end)); // the page as it was left, come back to
