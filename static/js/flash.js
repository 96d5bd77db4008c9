// #flash: what forms and refusals have to say. Toasts stack, the newest below; what went well goes by itself after long
// enough to be read, unless it is pointed at or holds the focus; what went wrong stays until it is dismissed.
const flash = document.getElementById("flash");
const MOST = 4;

addEventListener("click", event => {
  event.target.closest("[data-dismiss]")?.closest(".toast, .callout")?.remove();
});

// Rise above an open dialog, which would hide it otherwise.
function rise() {
  if (!document.querySelector("dialog:modal")) return;
  flash.popover = "manual";
  if (flash.matches(":popover-open")) flash.hidePopover();
  flash.showPopover();
}

function settle() {
  const toasts = [...flash.querySelectorAll(".toast")];
  toasts.slice(0, Math.max(0, toasts.length - MOST)).forEach(toast => toast.remove());
  toasts.filter(toast => toast.isConnected && !toast.dataset.timed && toast.getAttribute("role") !== "alert").forEach(expire);
}

function expire(toast) {
  toast.dataset.timed = "";
  const wait = Math.max(7000, toast.textContent.trim().length * 90);
  const go = () => (toast.matches(":hover, :focus-within") ? setTimeout(go, 2000) : toast.remove());
  setTimeout(go, wait);
}

// Say `text`: an alert when it is bad news. Returns the toast.
export function say(text, { bad = false } = {}) {
  const toast = document.getElementById("toast").content.firstElementChild.cloneNode(true);
  toast.querySelector("div").textContent = text;
  if (!bad) {
    toast.removeAttribute("role");
    toast.querySelector("svg").setAttribute("class", "i ok");
    const glyph = toast.querySelector("use");
    glyph.setAttribute("href", glyph.getAttribute("href").replace(/#.*/, "#i-check-circle"));
  }
  flash.append(toast);
  rise();
  settle();
  return toast;
}

document.addEventListener("htmx:afterSwap", event => {
  if (event.detail.target?.id !== "flash") return;
  rise();
  settle();
});
document.addEventListener("htmx:oobAfterSwap", settle);

let silent;
document.addEventListener("htmx:sendError", () => {
  if (!silent?.isConnected) silent = say("Slipway does not answer. Nothing was changed by that click; try it again in a moment.", { bad: true });
});
document.addEventListener("htmx:responseError", event => {
  if (event.detail.xhr.status >= 500) say("Slipway made a mistake. Load the page again to see what was done.", { bad: true });
});

// Screen readers speak of what comes into a live region, not of what was in it when the page came.
const first = [...flash.querySelectorAll(".toast")];
if (first.length) {
  flash.replaceChildren();
  requestAnimationFrame(() => {
    flash.append(...first);
    settle();
  });
}
