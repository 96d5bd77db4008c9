// #flash: what forms and refusals have to say. It rises above an open dialog, which would hide it otherwise.
const flash = document.getElementById("flash");

addEventListener("click", event => {
  event.target.closest("[data-dismiss]")?.closest(".toast, .callout")?.remove();
});

document.addEventListener("htmx:afterSwap", event => {
  if (event.detail.target !== flash) return;
  if (document.querySelector("dialog:modal")) {
    flash.popover = "manual";
    flash.showPopover();
  }
});

document.addEventListener("htmx:sendError", () => say("Slipway does not answer. What you see may be old."));
document.addEventListener("htmx:responseError", event => {
  if (event.detail.xhr.status >= 500) say("Slipway made a mistake. Load the page again.");
});

function say(text) {
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.setAttribute("role", "alert");
  toast.textContent = text;
  flash.replaceChildren(toast);
}
