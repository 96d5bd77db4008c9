"""A public git server on loopback, as another forge is one: `git http-backend` behind a small HTTP server."""

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
    """Repositories below `folder`, served at `url`. `answers` maps a path to a status and headers of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.answers, self.asked = folder, {}, []
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
        self._cgi(path, query)

    do_POST = do_GET

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
