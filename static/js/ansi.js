// Text of a log line → nodes. Colours become classes, web addresses links; no other sequence gets through, and text
// is only ever text. `dashboard/ansi.py` draws the same for pages without JavaScript.
const HUES = ["", "a-red", "a-green", "a-yellow", "a-blue", "a-magenta", "a-cyan", ""];
const COLOUR = /\x1b\[([\d;:]*)m/;
const OTHER = /\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;
const ADDRESS = /(https?:\/\/[^\s<>"'`]*[^\s<>"'`.,:;!?)\]}])/;

export function draw(text, parent) {
  const parts = text.split(COLOUR); // text, codes, text, codes, …
  let look = { hue: "", bold: false, dim: false };
  parts.forEach((part, i) => {
    if (i % 2) look = turn(look, part);
    else if (part) put(part.replace(OTHER, ""), look, parent);
  });
  return parent;
}

function put(text, { hue, bold, dim }, parent) {
  const classes = [hue, bold && "a-bold", dim && "a-dim"].filter(Boolean).join(" ");
  const into = classes ? parent.appendChild(document.createElement("span")) : parent;
  if (classes) into.className = classes;
  text.split(ADDRESS).forEach((part, i) => {
    if (i % 2) into.append(Object.assign(document.createElement("a"), { href: part, textContent: part, rel: "noopener noreferrer", target: "_blank" }));
    else if (part) into.append(part);
  });
}

function turn(look, codes) {
  const rest = codes.split(/[;:]/).map(Number);
  look = { ...look };
  while (rest.length) {
    const code = rest.shift();
    if (code === 0) look = { hue: "", bold: false, dim: false };
    else if (code === 1) look.bold = true;
    else if (code === 2) look.dim = true;
    else if (code === 22) look.bold = look.dim = false;
    else if (code === 39) look.hue = "";
    else if (code >= 30 && code <= 37) look.hue = HUES[code - 30];
    else if (code >= 90 && code <= 97) look.hue = bright(code - 90);
    else if (code === 38 || code === 48) {
      const [kind, first] = rest;
      rest.splice(0, kind === 2 ? 4 : 2);
      if (code === 38) look.hue = kind === 5 && first < 16 ? (first < 8 ? HUES[first] : bright(first - 8)) : "";
    }
  }
  return look;
}

const bright = n => (n ? HUES[n] : "a-grey");
