// `.log[data-log="<stream>"]` grows with its stream. It follows the end until one scrolls up, presses space or the
// button `data-log-follow`; lines that come meanwhile wait, and `data-log-jump` says how many.
import { LogView } from "./log-view.js";
import { shortcut } from "./shortcuts.js";

const views = new Map(); // element → its view

function scan() {
  for (const element of views.keys()) if (!element.isConnected) views.delete(element);
  for (const element of document.querySelectorAll(".log[data-log]")) {
    if (!views.has(element)) views.set(element, new LogView(element));
  }
}

const main = () => [...views.values()].find(view => view.element.isConnected);

function toggle() {
  const on = !main()?.following;
  views.forEach(view => view.setFollowing(on));
}

addEventListener("click", event => {
  if (event.target.closest("[data-log-follow]")) toggle();
  const jump = event.target.closest("[data-log-jump]");
  if (jump) [...views.values()].find(view => view.jump === jump)?.setFollowing(true);
});
const pressable = target => target.closest?.("button, a, summary, [role=button]");
shortcut({ keys: [" "], words: "Pause or follow the log", works: main, act: (key, event) => {
  if (pressable(event.target)) return;
  event.preventDefault();
  toggle();
} });
addEventListener("hashchange", () => views.forEach(view => view.seek()));
document.addEventListener("htmx:load", scan);
scan();
