// The page's one websocket. A nudge about a topic becomes the event `nudge` on every element whose `data-live` names
// it (several topics are parted by spaces); htmx then asks for the element anew. Logs are fed through `follow`.
const logs = new Map(); // stream → { wish(), hear(message) }
const due = new Set();
const GONE = 4403;
let socket, timer, tries = 0, before = false;

const LIVE = "body [data-live]"; // on <html> stands how the socket does
const elements = () => [...document.querySelectorAll(LIVE)];
const outermost = () => elements().filter(element => !element.parentElement.closest(LIVE));
const topics = () => [...new Set(elements().flatMap(element => element.dataset.live.split(/\s+/)))].filter(Boolean);
const say = message => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));
const state = word => { document.documentElement.dataset.live = word; };

function connect() {
  clearTimeout(timer);
  if (socket || !(topics().length || logs.size)) return;
  socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws/");
  const mine = socket;
  socket.onopen = () => {
    state("on");
    setTimeout(() => mine === socket && (tries = 0), 5000);
    tell();
    logs.forEach((log, stream) => say({ log: stream, ...log.wish() }));
    if (before) outermost().forEach(nudge); // what happened meanwhile nobody told us: the page is the truth
    before = true;
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.topic) soon(message.topic);
    else logs.get(message.log)?.hear(message);
  };
  socket.onclose = async ({ code } = {}) => {
    socket = undefined;
    if (code === GONE && !(await stillOurs())) return location.reload(); // signed out, or no right to be here any more
    state("reconnecting");
    timer = setTimeout(connect, Math.min(30_000, 500 * 2 ** tries++) * (0.5 + Math.random()));
  };
}

// Whether the server would still give this page to its viewer.
async function stillOurs() {
  const answer = await fetch(location.href, { method: "HEAD" }).catch(() => undefined);
  return answer?.ok && !answer.redirected;
}

function tell() {
  const wished = topics();
  if (wished.length) say({ subscribe: wished });
}

function soon(topic) {
  if (!due.size) setTimeout(() => {
    const told = [...due];
    due.clear();
    const ofMe = told.some(topic => topic.startsWith("user:")); // with one's rights everything may look different
    const named = element => told.some(topic => element.dataset.live.split(/\s+/).includes(topic));
    (ofMe ? outermost() : elements().filter(named)).forEach(nudge);
  }, 100);
  due.add(topic);
}

function nudge(element) {
  element.dispatchEvent(new CustomEvent("nudge")); // it does not bubble: what contains the element has its own topic
}

// Have `hear(message)` called with the lines of `stream`; `wish()` says from where on, and narrows them down.
export function follow(stream, wish, hear) {
  logs.set(stream, { wish, hear });
  connect();
  say({ log: stream, ...wish() });
}

export function unfollow(stream) {
  if (logs.delete(stream)) say({ unlog: stream });
}

// Every fourth message of a log has to be confirmed; the platform waits for that.
export const seen = (stream, after) => say({ log: stream, seen: after });

// After a change of networks the old socket may never learn that it is dead.
addEventListener("online", () => {
  if (socket) socket.onclose = null, socket.close(), socket = undefined;
  connect();
});
addEventListener("pageshow", connect);
document.addEventListener("visibilitychange", () => document.hidden || connect());
document.addEventListener("htmx:load", () => (socket ? tell() : connect()));
connect();
