// A log on a page: what it has drawn, what waits to be drawn, and whether it follows the end.
import { draw } from "./ansi.js";
import { follow, seen, unfollow } from "./live.js";
import { clock, localise, row } from "./log-line.js";

const ROWS = 5000;

export class LogView {
  following = true;
  waiting = [];
  heard = 0;

  constructor(element) {
    this.element = element;
    this.stream = element.dataset.log;
    this.numbered = element.dataset.numbered !== undefined;
    this.after = Number(element.dataset.after);
    this.jump = element.parentElement.querySelector("[data-log-jump]");
    localise(element);
    element.addEventListener("scroll", () => this.scrolled(), { passive: true });
    const first = Number(element.querySelector(".log__line")?.id.slice(1) || 1);
    if (element.dataset.ended === undefined) document.querySelectorAll("[data-log-follow]").forEach(button => { button.hidden = false; });
    this.toEnd();
    new ResizeObserver(() => this.following && this.toEnd()).observe(element);
    if (this.seek()) return;
    if (this.numbered && first > 1) this.restart(Math.max(0, this.after - ROWS)); // the page came with the last few only
    else if (element.dataset.ended === undefined) this.ask();
  }

  ask() {
    const { source, dyno, text, level } = this.element.dataset;
    follow(this.stream, () => ({ after: this.after, source, dyno, text, level }), message => this.hear(message));
  }

  // Draw the log anew from the line after `after` on.
  restart(after) {
    Object.assign(this, { after, waiting: [], heard: 0, stale: true, following: true });
    this.ask();
  }

  hear({ lines, after, ended }) {
    if (!this.element.isConnected) return unfollow(this.stream);
    this.waiting.push(...lines.filter(([number]) => number > this.after));
    this.after = Math.max(this.after, after);
    this.heard += 1;
    if (ended) unfollow(this.stream);
    this.frame ??= requestAnimationFrame(() => this.show());
  }

  show() {
    this.frame = undefined;
    const count = this.waiting.length;
    if (this.jump) this.jump.hidden = this.following || !count;
    if (!this.following) return this.jump?.querySelector("[data-count]").replaceChildren(`${count.toLocaleString()} new ${count === 1 ? "line" : "lines"}`);
    if (this.stale && count) this.element.replaceChildren(), (this.stale = false);
    if (count) this.element.querySelector(".log__none")?.remove();
    this.element.append(...this.waiting.splice(0).slice(-ROWS).map(line => row(line, this.numbered, draw)));
    for (let extra = this.element.children.length - ROWS; extra > 0; extra--) this.element.firstElementChild.remove();
    if (this.heard >= 4) seen(this.stream, this.after), (this.heard = 0); // undrawn lines are not confirmed: the rest waits
    this.toEnd();
    if (this.sought) this.seek();
  }

  toEnd() {
    this.element.scrollTop = this.element.scrollHeight;
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    const atEnd = scrollHeight - scrollTop - clientHeight < 32;
    if (atEnd !== this.following) this.setFollowing(atEnd);
  }

  setFollowing(on) {
    this.following = on;
    document.querySelectorAll("[data-log-follow]").forEach(button => {
      button.setAttribute("aria-pressed", on);
      button.querySelector("[data-word]")?.replaceChildren(on ? "Following" : "Paused");
    });
    document.querySelectorAll("[data-log-paused]").forEach(badge => {
      badge.hidden = on;
      badge.querySelector("time").textContent = clock(Date.now(), false);
    });
    this.show();
  }

  // Go to the line that the address names, asking for it if it is not drawn. Returns whether there is one.
  seek() {
    const number = Number(/^#L(\d+)$/.exec(location.hash)?.[1] ?? this.element.dataset.target);
    if (!number) return false;
    const line = this.element.querySelector(`#L${number}`);
    const asked = this.sought === number;
    this.sought = line ? undefined : number;
    if (!line && this.element.dataset.target) return true; // the page shows what is around the line that it was asked for
    if (!line) return asked || this.restart(Math.max(0, number - 100)), true;
    this.element.querySelector(".is-target")?.classList.remove("is-target");
    line.classList.add("is-target");
    this.setFollowing(false);
    line.scrollIntoView({ block: "center" });
    if (this.element.dataset.ended === undefined && !asked) this.ask();
    return true;
  }
}
