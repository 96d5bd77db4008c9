// The scaling form: − and + change a quantity, a bar says what is not applied yet and what applying will do, and a
// refresh after a nudge keeps what was typed. `data-was` on a field is what the platform has now.
const pending = new Map();

const fields = form => [...form.querySelectorAll("[data-was]")].filter(field => field.value !== field.dataset.was);
const dynos = number => (number === 1 ? "dyno" : "dynos");

// What happens to one type: “2 worker dynos start”, “3 web dynos restart as standard-2x”.
function effects(form, type) {
  const [quantity, size] = ["quantity", "size"].map(name => form.elements[`${type}.${name}`]);
  const was = Number(quantity.dataset.was), now = parseInt(quantity.value, 10) || 0;
  const kept = Math.min(was, now), found = [];
  if (now > was) found.push(`${now - was} ${type} ${dynos(now - was)} ${now - was === 1 ? "starts" : "start"}`);
  if (now < was) found.push(`${was - now} ${type} ${dynos(was - now)} ${was - now === 1 ? "stops" : "stop"}`);
  if (size.value !== size.dataset.was && kept) found.push(`${kept} ${type} ${dynos(kept)} ${kept === 1 ? "restarts" : "restart"} as ${size.value}`);
  return found;
}

// What all of it costs, as far as sizes have prices: “$50 a month more.”, from when it is applied.
function price(form, types, currency) {
  const cents = (size, name) => Number([...size.options].find(one => one.value === name)?.dataset.cents ?? 0);
  const more = types.reduce((sum, type) => {
    const [quantity, size] = ["quantity", "size"].map(name => form.elements[`${type}.${name}`]);
    return sum + (parseInt(quantity.value, 10) || 0) * cents(size, size.value) - quantity.dataset.was * cents(size, size.dataset.was);
  }, 0);
  if (!more) return "";
  const amount = (Math.abs(more) / 100).toLocaleString("en-US", { minimumFractionDigits: 2 }).replace(".00", "");
  return ` ${currency}${amount} a month ${more > 0 ? "more" : "less"}.`;
}

function say(bar, changed) {
  const form = changed[0].form, types = [...new Set(changed.map(field => field.name.replace(/\.\w+$/, "")))];
  const what = document.createElement("strong"), then = document.createElement("span");
  what.textContent = changed.map(field => `${field.name.replace(/\.\w+$/, "")} ${field.dataset.was} → ${field.value || "0"}`).join(", ");
  const effect = types.flatMap(type => effects(form, type));
  const usual = bar.dataset.usual && effect.some(text => / (re)?starts?\b/.test(text)) ? ` This takes ${bar.dataset.usual}.` : "";
  then.className = "pending__then";
  then.textContent = effect.length ? `At once: ${effect.join(", ")}.${usual}` : "No dyno runs of it now, so nothing restarts.";
  then.textContent += price(form, types, bar.dataset.currency);
  bar.querySelector("[data-pending-text]").replaceChildren("Change not applied: ", what, then);
}

function draw(form) {
  const changed = fields(form), bar = form.querySelector("[data-pending]");
  if (!bar) return;
  pending.clear();
  changed.forEach(field => pending.set(field.name, field.value));
  bar.hidden = !changed.length;
  bar.classList.toggle("panel__foot--pending", changed.length > 0);
  bar.querySelector("[data-discard]").hidden = false;
  bar.querySelector("[data-apply]").classList.remove("push");
  if (changed.length) say(bar, changed);
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

// Once it is applied, what comes back is the truth; when it is refused, what was typed stays.
document.addEventListener("htmx:afterRequest", event => {
  if (!event.target.matches?.("[data-scale]") || !event.detail.successful) return;
  pending.clear();
  for (const field of fields(event.target)) field.dataset.was = field.value;
  draw(event.target);
});

document.addEventListener("htmx:load", () => {
  document.querySelectorAll("[data-scale]").forEach(form => {
    for (const [name, value] of pending) if (form.elements[name]) form.elements[name].value = value;
    draw(form);
  });
});

document.querySelectorAll("[data-scale]").forEach(draw);

// What autoscaling comes to a month, as it is typed; nothing while that makes no sense.
addEventListener("input", event => {
  const form = event.target.closest?.("[data-autoscale]");
  if (!form) return;
  const [low, high] = ["minimum", "maximum"].map(name => parseInt(form.elements[name].value, 10));
  const amount = number => form.dataset.currency + ((number * form.dataset.cents) / 100).toLocaleString("en-US", { minimumFractionDigits: 2 }).replace(".00", "");
  const span = low === high ? amount(high) : `${amount(low)} to ${amount(high)}`;
  form.querySelector("[data-autoscale-cost]").textContent = low > 0 && low <= high && high <= 100 ? `${span} a month` : "…";
});
