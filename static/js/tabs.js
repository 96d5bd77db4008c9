// A row of tabs wider than the window starts with the current one in view.
for (const current of document.querySelectorAll(":is(.tabs, .sidenav) [aria-current]")) {
  const row = current.closest(".tabs ul, .sidenav"), [tab, window] = [current, row].map(one => one.getBoundingClientRect());
  row.scrollLeft += tab.left + tab.width / 2 - window.left - window.width / 2;
}
