// The scaling form: − and + change a quantity, a bar says what is not applied yet, and a refresh after a nudge keeps
// what was typed. `data-was` on a field is what the platform has now.
const pending = new Map();

function fields(form) {
  return [...form.querySelectorAll("[data-was]")].filter(field => field.value !== field.dataset.was);
}

function draw(form) {
  const changed = fields(form);
  const bar = form.querySelector("[data-pending]");
  if (!bar) return;
  pending.clear();
  changed.forEach(field => pending.set(field.name, field.value));
  bar.hidden = !changed.length;
  bar.classList.toggle("panel__foot--pending", changed.length > 0);
  bar.querySelector("[data-discard]").hidden = false;
  bar.querySelector("[data-apply]").classList.remove("push");
  const words = changed.map(field => `${field.name.split(".")[0]} ${field.dataset.was} → ${field.value || "0"}`);
  bar.querySelector("[data-pending-text]").textContent = `Not applied yet: ${words.join(", ")}`;
}

addEventListener("click", event => {
  const button = event.target.closest?.("[data-step]");
  if (!button) return;
  const field = button.parentElement.querySelector("input");
  field.value = Math.max(0, (parseInt(field.value, 10) || 0) + Number(button.dataset.step));
  draw(button.form);
});

addEventListener("input", event => {
  const form = event.target.closest?.("[data-scale]");
  if (form) draw(form);
});

addEventListener("reset", event => {
  if (event.target.matches("[data-scale]")) setTimeout(() => draw(event.target));
});

document.addEventListener("htmx:beforeRequest", event => {
  if (event.target.matches("[data-scale]")) pending.clear();
});

document.addEventListener("htmx:load", () => {
  document.querySelectorAll("[data-scale]").forEach(form => {
    for (const [name, value] of pending) if (form.elements[name]) form.elements[name].value = value;
    draw(form);
  });
});

document.querySelectorAll("[data-scale]").forEach(draw);
