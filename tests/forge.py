"""A git server on loopback, as another forge is one: `git http-backend` behind a small HTTP server, with an API if a
test gives it one."""

import base64
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

IDENTITY = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C.UTF-8",
    **{f"GIT_{who}_NAME": "Zoë" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "zoe@example.com" for who in ("AUTHOR", "COMMITTER")},
}


class Forge:
    """Repositories below `folder`, served at `url`. `answers` maps a path to a status and headers of its own. Those that
    are `private` ask for `password`; what git or a program showed is in `shown`. `api` answers what is below /api and
    /2.0: (method, path, headers, body) to a status and what becomes JSON."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.answers, self.asked = folder, {}, []
        self.private, self.password, self.shown = set(), "", []
        self.api = None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"forge": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    def git(self, name: str, *arguments: str) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **IDENTITY}
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder / name, env=env, capture_output=True, check=True, timeout=20
        )
        return done.stdout.decode().strip()

    def repository(self, name: str = "shop.git", **files: str) -> str:
        """A repository with one commit on `main`; returns its address."""
        (self.folder / name).mkdir()
        self.git(name, "init", "-q", "-b", "main")
        self.commit(name, "First", **(files or {"index.html": "hello"}))
        return f"{self.url}/{name}"

    def commit(self, name: str, message: str, **files: str) -> str:
        for file, text in files.items():
            (self.folder / name / file).write_text(text)
        self.git(name, "add", "-A")
        self.git(name, "commit", "-q", "--allow-empty", "-m", message)
        return self.git(name, "rev-parse", "HEAD")


class _Handler(BaseHTTPRequestHandler):
    forge: Forge

    def log_message(self, *_: object) -> None:
        """Tests need no access log."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.forge.asked.append(self.path)
        if path in self.forge.answers:
            status, headers = self.forge.answers[path]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            return
        if self.forge.api and path.startswith(("/api/", "/2.0/")):
            self._api()
        elif path.split("/")[1] in self.forge.private and not self._is_shown():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="Forge"')
            self.end_headers()
        else:
            self._cgi(path, query)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _is_shown(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        self.forge.shown.append(base64.b64decode(given).decode())
        return self.forge.shown[-1].partition(":")[2] == self.forge.password != ""

    def _api(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, said = self.forge.api(
            self.command, self.path.partition("?")[0], headers, json.loads(body or b"{}")
        )
        data = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _cgi(self, path: str, query: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        env = {
            **IDENTITY,
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.forge.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(
            ["git", "http-backend"], env=env, input=body, capture_output=True, timeout=20, check=False
        )
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(lines.pop("Status", "200").split()[0]))
        for name, value in lines.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(rest)
