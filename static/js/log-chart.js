// The bars of a log, in the viewer's own time. They come anew every few seconds.
import { localiseBars } from "./log-line.js";

const draw = () => localiseBars(document.getElementById("histogram"));
document.addEventListener("htmx:load", draw);
draw();
