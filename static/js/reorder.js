// `data-reorder` names the form that keeps the order of the slots in it: each holds a hidden field of that form, so
// their order on the page is the order that is sent. A slot is dragged by its `data-grip`; buttons beside it do the same.
const slots = list => [...list.children].filter(child => child.querySelector("[data-grip]"));
let held, list, before;

for (const grip of document.querySelectorAll("[data-reorder] [data-grip]")) grip.draggable = true;

function over(event) {
  if (!held || event.target.closest?.("[data-reorder]") !== list) return null;
  return slots(list).filter(slot => slot !== held)
    .find(slot => { const box = slot.getBoundingClientRect(); return event.clientY < box.top + box.height / 2; }) ?? "last";
}

function mark(slot) {
  list?.querySelectorAll(".is-before, .is-after").forEach(one => one.classList.remove("is-before", "is-after"));
  if (slot === "last") slots(list).filter(one => one !== held).at(-1)?.classList.add("is-after");
  else slot?.classList.add("is-before");
}

addEventListener("dragstart", event => {
  const grip = event.target.closest?.("[data-grip]");
  if (!grip) return;
  list = grip.closest("[data-reorder]");
  held = slots(list).find(slot => slot.contains(grip));
  before = slots(list);
  held.classList.add("is-held");
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", "");
  event.dataTransfer.setDragImage(held, 12, 24);
});

addEventListener("dragover", event => {
  const slot = over(event);
  if (!slot) return;
  event.preventDefault();
  mark(slot);
});

addEventListener("drop", event => {
  const slot = over(event);
  if (!slot) return;
  event.preventDefault();
  if (slot === "last") list.append(held);
  else list.insertBefore(held, slot);
  const form = document.getElementById(list.dataset.reorder);
  if (slots(list).some((one, at) => one !== before[at])) form.requestSubmit();
});

addEventListener("dragend", () => {
  if (!held) return;
  held.classList.remove("is-held");
  mark(null);
  held = list = undefined;
});
