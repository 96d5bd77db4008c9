// Dialogs: `data-open="id"` opens one that is in the page, a link whose answer htmx puts into #dialog opens that one,
// `data-close` and a click beside it close it.
import "./busy.js";
const loaded = document.getElementById("dialog");

function open(dialog) {
  if (!(dialog instanceof HTMLDialogElement) || dialog.open) return false;
  document.querySelectorAll("[popover]:popover-open").forEach(menu => menu.hidePopover());
  dialog.showModal();
  if (!dialog.querySelector("[autofocus]")) begin(dialog.querySelector("h1, h2"));
  dialog.dispatchEvent(new CustomEvent("opened"));
  return true;
}

// What asks for nothing first is read from its title on: Enter must not meet the button that closes it.
function begin(title) {
  if (!title) return;
  title.tabIndex = -1;
  title.focus();
}

addEventListener("click", event => {
  if (event.target instanceof HTMLDialogElement) return event.target.close();   // the backdrop
  const button = event.target.closest?.("[data-open], [data-close]");
  if (!button) return;
  if (button.hasAttribute("data-close")) {
    if (button.closest("dialog")) event.preventDefault();
    button.closest("dialog")?.close();
  } else if (document.getElementById(button.dataset.open) instanceof HTMLDialogElement) {
    event.preventDefault();
    button.closest("dialog")?.close();
    open(document.getElementById(button.dataset.open));
  }
});

// A search field keeps Escape to itself, to clear its text: in a dialog it closes that.
addEventListener("keydown", event => {
  if (event.key === "Escape" && event.target.matches?.("dialog input[type=search]")) event.target.closest("dialog").close();
});

document.addEventListener("htmx:afterSwap", event => {
  if (event.detail.target === loaded && loaded.innerHTML.trim()) open(loaded);
});

loaded?.addEventListener("close", () => {
  loaded.replaceChildren();
});
