// A row of tabs, or of a page's sections, that is wider than the window starts with the current one in view.
for (const current of document.querySelectorAll(".tabs [aria-current], .sidenav [aria-current]")) {
  const row = current.closest(".sidenav") ?? current.closest("ul");
  const [tab, window] = [current, row].map(one => one.getBoundingClientRect());
  row.scrollLeft += tab.left + tab.width / 2 - window.left - window.width / 2;
}
