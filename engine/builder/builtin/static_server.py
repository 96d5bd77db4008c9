"""Serves a folder of files over HTTP. Goes into the slug of static sites as it is, so it needs nothing but Python.

    python3 -IS static_server.py [ROOT]

Knows index.html, 404.html, clean URLs (`/about` is about.html), single ranges, ETags, and of `static.json` the keys
root, clean_urls, error_page, routes and headers. What is outside ROOT, or whose name starts with a dot, is not there.
"""

import fnmatch
import hashlib
import json
import os
import re
import signal
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

TYPES = {
    "avif": "image/avif",
    "css": "text/css; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "gif": "image/gif",
    "htm": "text/html; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "ico": "image/x-icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "map": "application/json",
    "md": "text/markdown; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "otf": "font/otf",
    "pdf": "application/pdf",
    "png": "image/png",
    "svg": "image/svg+xml",
    "ttf": "font/ttf",
    "txt": "text/plain; charset=utf-8",
    "wasm": "application/wasm",
    "webm": "video/webm",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "xml": "application/xml",
    "zip": "application/zip",
}
NOT_SERVED = {"Procfile", "static.json", "app.json"}
CHUNK = 256 * 1024


class Site:
    """The files below `root`, and what static.json says of them."""

    def __init__(self, root: str, settings: dict) -> None:
        self.root = os.path.realpath(os.path.join(root, str(settings.get("root") or ".")))
        self.clean_urls = bool(settings.get("clean_urls", True))
        self.error_page = str(settings.get("error_page") or "404.html")
        self.routes = _pairs(settings.get("routes"))
        self.headers = _pairs(settings.get("headers"))
        self.etags: dict[tuple[str, int, int], str] = {}

    def find(self, path: str) -> str | None:
        """The file for a URL's path, or None."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if any((part.startswith(".") and part != ".well-known") or "\0" in part for part in parts):
            return None
        if parts and parts[0] in NOT_SERVED:
            return None
        name = os.path.join(self.root, *parts)
        tries = [os.path.join(name, "index.html")] if path.endswith("/") else [name]
        if self.clean_urls and parts:
            tries.append(name + ".html")
        return next((found for one in tries if (found := self._inside(one))), None)

    def routed(self, path: str) -> str | None:
        """The file that static.json's routes give a path that has none of its own."""
        for pattern, target in self.routes:
            if fnmatch.fnmatchcase(path, pattern.replace("**", "*")):
                return self._inside(os.path.join(self.root, str(target).lstrip("/")))
        return None

    def is_folder(self, path: str) -> bool:
        """Whether the path without its slash is a folder with an index."""
        return not path.endswith("/") and self.find(path + "/") is not None

    def error(self) -> str | None:
        return self._inside(os.path.join(self.root, self.error_page))

    def etag(self, file: str) -> str:
        """From the content: times say nothing in a slug."""
        about = os.stat(file)
        key = (file, about.st_size, about.st_mtime_ns)
        if key not in self.etags:
            with open(file, "rb") as data:
                self.etags[key] = f'"{hashlib.file_digest(data, "sha256").hexdigest()[:20]}"'
        return self.etags[key]

    def extra_headers(self, path: str) -> list[tuple[str, str]]:
        found = []
        for pattern, headers in self.headers:
            if fnmatch.fnmatchcase(path, pattern.replace("**", "*")) and isinstance(headers, dict):
                found += [(str(name), str(value)) for name, value in headers.items()]
        return [(name, value) for name, value in found if not re.search(r"[\r\n]", name + value)]

    def _inside(self, name: str) -> str | None:
        real = os.path.realpath(name)
        return real if os.path.isfile(real) and real.startswith(self.root + os.sep) else None


def _pairs(found: object) -> list:
    return list(found.items()) if isinstance(found, dict) else []


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "slipway-static", ""
    timeout = 65
    site: Site

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path, errors="surrogateescape")
        file = self.site.find(path)
        if file is None and self.site.is_folder(path):
            return self.move(urlsplit(self.path).path + "/")
        status = HTTPStatus.OK
        if file is None:
            file = self.site.routed(path)
        if file is None:
            file, status = self.site.error(), HTTPStatus.NOT_FOUND
        if file is None:
            return self.text(status, "Not found\n")
        self.file(file, status, path)

    do_HEAD = do_GET

    def file(self, file: str, status: HTTPStatus, path: str) -> None:
        with open(file, "rb") as data:
            size = os.fstat(data.fileno()).st_size
            etag = self.site.etag(file)
            if status == HTTPStatus.OK and etag in self.headers.get("If-None-Match", ""):
                return self.head(HTTPStatus.NOT_MODIFIED, 0, [("ETag", etag)])
            start, end = 0, size
            headers = [("Content-Type", _type(file)), ("ETag", etag), ("Accept-Ranges", "bytes")]
            headers += [("Cache-Control", "no-cache"), *self.site.extra_headers(path)]
            asked = _range(self.headers.get("Range", ""), size) if status == HTTPStatus.OK else None
            if asked == (0, 0):
                return self.head(
                    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, [("Content-Range", f"bytes */{size}")]
                )
            if asked is not None:
                start, end = asked
                status = HTTPStatus.PARTIAL_CONTENT
                headers.append(("Content-Range", f"bytes {start}-{end - 1}/{size}"))
            self.head(status, end - start, headers)
            if self.command != "HEAD":
                data.seek(start)
                self.copy(data, end - start)

    def copy(self, data: BinaryIO, left: int) -> None:
        while left:
            piece = data.read(min(CHUNK, left))
            if not piece:
                self.close_connection = True
                return
            self.wfile.write(piece)
            left -= len(piece)

    def head(self, status: HTTPStatus, length: int, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(length))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()

    def move(self, where: str) -> None:
        self.head(HTTPStatus.MOVED_PERMANENTLY, 0, [("Location", "/" + where.lstrip("/"))])

    def text(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        self.head(status, len(body), [("Content-Type", "text/plain; charset=utf-8")])
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the router's line says it all."""


def _type(file: str) -> str:
    return TYPES.get(file.rpartition(".")[2].lower(), "application/octet-stream")


def _range(header: str, size: int) -> tuple[int, int] | None:
    """Start and end of the one range asked for; None for the whole, (0, 0) for one that cannot be."""
    match = re.fullmatch(r"bytes=(\d{0,15})-(\d{0,15})", header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(size - int(match[2]), 0), size
    else:
        start, end = int(match[1]), min(int(match[2] or size) + 1, size)
    return (start, end) if start < end else (0, 0)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error."""


def main() -> None:
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    settings_file = os.path.join(root, "static.json")
    settings = {}
    if os.path.exists(settings_file):
        with open(settings_file, encoding="utf-8") as file:
            settings = json.load(file)
    Handler.site = Site(root, settings)
    server = Server(("0.0.0.0", int(os.environ.get("PORT", "8000"))), Handler)  # noqa: S104 (as dynos do)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
