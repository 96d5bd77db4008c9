// `data-since`, a time, has its element say how long ago that was, second by second: “0:48”, “1:00:12”.
const two = number => String(number).padStart(2, "0");

function tick() {
  for (const element of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(element.dataset.since)) / 1000));
    const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60;
    element.textContent = `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`;
  }
}

setInterval(tick, 1000);
