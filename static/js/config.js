// Config vars: `data-filter="#vars"` hides the rows whose `data-words` do not hold what was typed; text fields of one
// line grow with their text, and Enter in them saves as in any form (Shift+Enter makes a line).
addEventListener("input", event => {
  const filter = event.target.closest?.("[data-filter]");
  if (filter) {
    const wanted = filter.value.toLowerCase().split(/\s+/);
    for (const row of document.querySelectorAll(`${filter.dataset.filter} [data-words]`))
      row.hidden = !wanted.every(word => row.dataset.words.includes(word));
  }
  if (event.target.matches?.(".vars textarea")) grow(event.target);
});

addEventListener("keydown", event => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches?.(".vars textarea")) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

function grow(area) {
  area.rows = Math.min(Math.max(area.value.split("\n").length, 1), 12);
}

document.addEventListener("htmx:load", event => {
  event.target.querySelectorAll?.(".vars textarea").forEach(grow);
  if (event.target.matches?.("tr.is-editing")) event.target.querySelector("textarea")?.focus();
});
document.querySelectorAll(".vars textarea").forEach(grow);
