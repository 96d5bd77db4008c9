// One page, its style, and a stream of events: all that it takes to see a dyno at work.
const http = require("node:http");
const fs = require("node:fs");
const path = require("node:path");

const page = fs.readFileSync(path.join(__dirname, "public/index.html"));
const style = fs.readFileSync(path.join(__dirname, "public/style.css"));
const about = () => ({
  app: process.env.SLIPWAY_APP_NAME || "this app",
  release: process.env.SLIPWAY_RELEASE_VERSION || "v?",
  dyno: process.env.DYNO || "web.?",
  greeting: process.env.GREETING || "Hello from Node.js",
  node: process.version,
});

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/") {
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(page);
  } else if (pathname === "/style.css") {
    response.writeHead(200, { "Content-Type": "text/css; charset=utf-8" }).end(style);
  } else if (pathname === "/about.json") {
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(about()));
  } else if (pathname === "/events") {
    stream(request, response);
  } else {
    response.writeHead(404, { "Content-Type": "text/plain" }).end("Not found\n");
  }
});

function stream(request, response) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
  const send = () => response.write(`data: ${JSON.stringify({ ...about(), at: new Date().toISOString() })}\n\n`);
  send();
  const timer = setInterval(send, 1000);
  request.on("close", () => clearInterval(timer));
}

const port = Number(process.env.PORT || 3000);
server.listen(port, () => console.log(`Listening on ${port}`));

process.on("SIGTERM", () => {
  console.log("SIGTERM: closing");
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
