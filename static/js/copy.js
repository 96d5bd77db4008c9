// `data-copy="text"` puts its text onto the clipboard and says so.
addEventListener("click", async event => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.dataset.copy || button.parentElement.querySelector("code")?.textContent || "";
  try { await navigator.clipboard.writeText(text.trim()); } catch { return; }
  const label = button.getAttribute("aria-label");
  button.setAttribute("aria-label", "Copied");
  button.dataset.copied = "";
  setTimeout(() => {
    button.setAttribute("aria-label", label);
    delete button.dataset.copied;
  }, 1400);
});
