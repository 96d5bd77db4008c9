// `data-submit` on a choice sends its form at once.
addEventListener("change", event => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});
