// One line of a log as a row, like templates/logs/_lines.html draws it.
const ERROR = /\b(?:ERROR|Error|error|FATAL|Fatal|fatal|CRITICAL|PANIC|panic|Traceback|Exception)\b|\bstatus=5\d\d\b/;
const WARNING = /\b(?:WARN|WARNING|Warning|warning|warn)\b|\bstatus=4\d\d\b/;
const HUES = ["a-cyan", "a-magenta", "a-blue", "a-yellow"];

const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

export function row([number, at, source, dyno, text], numbered, draw) {
  const line = make("div", { className: "log__line", id: `L${number}` });
  const time = make("time", { dateTime: new Date(at * 1000).toISOString(), textContent: clock(at * 1000, !numbered) });
  if (numbered) line.append(make("a", { className: "log__no", href: `#L${number}`, textContent: number }), time);
  else {
    if (ERROR.test(text)) line.classList.add("is-error");
    else if (WARNING.test(text)) line.classList.add("is-warn");
    const link = make("a", { className: "log__at", href: `?line=${number}#L${number}` });
    link.append(time);
    line.append(link, make("a", {
      className: `log__src ${hue(source, dyno)}`,
      href: `?dyno=${encodeURIComponent(dyno)}`,
      title: `Show only ${dyno}`,
      textContent: dyno,
    }));
  }
  line.append(draw(text, document.createElement("span")));
  return line;
}

// Times that the server wrote are in UTC.
export function localise(log) {
  for (const time of log.querySelectorAll(".log__line time")) {
    time.textContent = clock(Date.parse(time.dateTime), log.dataset.numbered === undefined);
  }
}

// So are those of the bars: `data-at`, and `data-rest` for what follows the time.
export function localiseBars(chart) {
  for (const mark of chart?.querySelectorAll("[data-at]") ?? []) {
    const time = clock(Date.parse(mark.dataset.at), false);
    mark.textContent = mark.dataset.rest === undefined ? time.slice(0, 5) : time + mark.dataset.rest;
  }
}

function hue(source, dyno) {
  if (source !== "app") return dyno === "router" ? "a-grey" : "a-green";
  const type = dyno.split(".")[0];
  return HUES[[...type].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % HUES.length];
}

export function clock(ms, exact) {
  const at = new Date(ms), two = n => String(n).padStart(2, "0");
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  return exact ? `${time}.${String(at.getMilliseconds()).padStart(3, "0")}` : time;
}
