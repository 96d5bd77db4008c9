// The window's title and icon follow a build or release: `data-title` and `data-icon` of #story. Both calm down when
// the tab is left after it has ended well.
const link = document.querySelector("link[rel=icon]");
const plain = link?.href;
const circle = (fill, mark) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="11" fill="${fill}"/><path d="${mark}" fill="none" stroke="#fff" stroke-width="2.5"/></svg>`;
const icons = {
  ok: circle("#268a4e", "m7 12.5 3.5 3.5 6.5-8"),
  busy: circle("#8b3fb0", "M12 6a6 6 0 1 1-6 6"),
  bad: circle("#c8372d", "m8 8 8 8m0-8-8 8"),
};

function draw(icon) {
  if (link) link.href = icons[icon] ? `data:image/svg+xml,${encodeURIComponent(icons[icon])}` : plain;
}

function follow() {
  const story = document.getElementById("story");
  if (!story) return;
  document.title = story.dataset.title;
  draw(story.dataset.icon);
}

document.addEventListener("htmx:afterSettle", follow);
document.addEventListener("visibilitychange", () => {
  if (document.hidden && document.getElementById("story")?.dataset.icon === "ok") link.href = plain;
});
follow();
