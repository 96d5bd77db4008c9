// The field of Ctrl K takes what is typed as soon as it shows: unfold's own script waits 20 ms for that, and a busy
// browser may take longer to show it.
addEventListener("DOMContentLoaded", () => {
  const field = document.getElementById("search-input-command");
  if (field) new ResizeObserver(([{contentRect}]) => contentRect.width && field.focus()).observe(field);
});
