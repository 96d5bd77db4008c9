// A form says that it was sent, once.
addEventListener("submit", event => {
  if (event.target.ariaBusy) event.preventDefault(), event.stopImmediatePropagation();
}, true);

addEventListener("submit", ({ target, submitter, defaultPrevented }) => {
  if (target.getAttribute("method") !== "post" || defaultPrevented && !target.matches("[hx-post]")) return;
  const mark = to => [target, submitter ?? target].forEach(one => { one.ariaBusy = to; });
  mark("true");
  setTimeout(mark, 1e4, null);
  target.addEventListener("htmx:afterRequest", () => mark(null), { once: true });
});
