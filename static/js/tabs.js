// A row of tabs that is wider than the window starts with the current one in view.
for (const current of document.querySelectorAll(".tabs [aria-current]")) {
  const row = current.closest("ul"), [tab, window] = [current, row].map(one => one.getBoundingClientRect());
  row.scrollLeft += tab.left + tab.width / 2 - window.left - window.width / 2;
}
