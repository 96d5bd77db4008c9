// Says when the page's socket is lost for longer than a moment, what that means, and when it is back (live.js keeps
// the word in `data-live` of <html>).
import { say } from "./flash.js";

const PATIENCE = 4000;
let timer, lost;

function changed() {
  const word = document.documentElement.dataset.live;
  if (word === "reconnecting") timer ??= setTimeout(tell, PATIENCE);
  if (word !== "on") return;
  clearTimeout(timer);
  timer = undefined;
  if (!lost) return;
  lost.remove();
  lost = undefined;
  say("Connected again. The page is up to date.");
}

function tell() {
  lost?.remove();
  lost = say("The connection to Slipway is lost. What you see may be old; your apps keep running. Slipway tries again by itself.", { bad: true });
}

new MutationObserver(changed).observe(document.documentElement, { attributeFilter: ["data-live"] });
