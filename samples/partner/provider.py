"""A provider of an add-on: `python provider.py MANIFEST [--port N]`. It keeps everything in memory."""

import argparse
import hashlib
import hmac
import json
import secrets
import threading
import time
from base64 import b64decode
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import Request, urlopen

SSO_SECONDS = 300


class Provider:
    """The resources there are, by the UUID that they were ordered with."""

    def __init__(self, manifest):
        self.id, self.api = manifest["id"], manifest["api"]
        self.resources = {}
        self.lock = threading.Lock()

    def knows(self, header):
        """Whether HTTP Basic holds the manifest's id and password."""
        kind, _, text = header.partition(" ")
        wanted = f"{self.id}:{self.api['password']}"
        return kind == "Basic" and hmac.compare_digest(b64decode(text), wanted.encode())

    def make(self, order):
        """The same order twice is the same resource."""
        with self.lock:
            return self.resources.setdefault(
                order["uuid"],
                {"id": order["uuid"], "plan": order["plan"], "token": secrets.token_hex(16), "lines": 0},
            )

    def config(self, resource):
        return {"NOTES_URL": f"https://notes.example/{resource['id']}", "NOTES_TOKEN": resource["token"]}

    def drain(self, resource, host):
        """Where the log of the app shall go, with what it proves itself by."""
        return f"http://logs:{resource['token']}@{host}/logs/{resource['id']}"

    def hear(self, id, header, lines):
        """Take lines of a log; whether they come from who was told where to."""
        with self.lock:
            resource = self.resources.get(id, {"token": secrets.token_hex(16)})
            kind, _, text = header.partition(" ")
            known = f"logs:{resource['token']}".encode()
            if kind != "Basic" or not hmac.compare_digest(b64decode(text), known):
                return False
            resource["lines"] += lines
            return True

    def finish(self, order, resource):
        """After a 202: get a token for the code that came with the order, tell the config, say that it is ready."""
        base = urlsplit(order["callback_url"])
        fields = {
            "grant_type": "authorization_code",
            "code": order["oauth_grant"]["code"],
            "client_secret": self.api["password"],
        }
        token = call("POST", f"{base.scheme}://{base.netloc}/oauth/token", urlencode(fields).encode())
        allowed = {"Authorization": f"Bearer {token['access_token']}"}
        config = [{"name": name, "value": value} for name, value in self.config(resource).items()]
        body = json.dumps({"config": config}).encode()
        call("PATCH", f"{order['callback_url']}/config", body, **JSON, **allowed)
        call("POST", f"{order['callback_url']}/actions/provision", b"", **JSON, **allowed)

    def is_signed(self, form):
        """Whether a sign-in comes from the platform, and lately."""
        text = f"{form.get('resource_id')}:{self.api['sso_salt']}:{form.get('timestamp')}"
        right = hashlib.sha1(text.encode()).hexdigest()
        late = time.time() - float(form.get("timestamp", 0)) > SSO_SECONDS
        return not late and hmac.compare_digest(right, form.get("resource_token", ""))


JSON = {"Content-Type": "application/json", "Accept": "application/vnd.heroku+json; version=3"}


def call(method, url, body, **headers):
    with urlopen(Request(url, body, headers, method=method), timeout=20) as answer:
        return json.loads(answer.read() or b"{}")


class Handler(BaseHTTPRequestHandler):
    provider = None

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/sso/login":
            return self.sign_in({key: value[0] for key, value in parse_qs(body.decode()).items()})
        if self.path.startswith("/logs/"):
            lines = int(self.headers.get("Logplex-Msg-Count", 0))
            heard = self.provider.hear(self.path[6:], self.headers.get("Authorization", ""), lines)
            return self.answer(204 if heard else 403)
        if not self.may():
            return None
        order = json.loads(body)
        resource = self.provider.make(order)
        host = self.headers.get("Host", "")
        told = {"id": resource["id"], "log_drain_url": self.provider.drain(resource, host)}
        if order["plan"] == "slow":
            threading.Timer(0.2, self.provider.finish, [order, resource]).start()
            return self.answer(202, {**told, "message": "It is being made."})
        config = self.provider.config(resource)
        return self.answer(201, {**told, "config": config, "message": "Notes are kept from now on."})

    def do_PUT(self):
        order = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        resource = self.found() if self.may() else None
        if resource:
            resource["plan"] = order["plan"]
            self.answer(200, {"config": self.provider.config(resource), "message": "The plan has changed."})

    def do_DELETE(self):
        resource = self.found() if self.may() else None
        if resource:
            del self.provider.resources[resource["id"]]
            self.answer(204)

    def sign_in(self, form):
        if not self.provider.is_signed(form):
            return self.answer(403, {"message": "This link is over, or forged."})
        resource = self.provider.resources.get(form.get("resource_id"), {"lines": 0})
        return self.page(
            f"<h1>Notes of {escape(form.get('app', ''))}</h1><p>{escape(form.get('email', ''))}</p>"
            f"<p>{resource['lines']} lines of its log</p>"
        )

    def may(self):
        if self.provider.knows(self.headers.get("Authorization", "")):
            return True
        self.answer(401, {"message": "Wrong id or password."})
        return False

    def found(self):
        resource = self.provider.resources.get(self.path.rpartition("/")[2])
        if resource is None:
            self.answer(410, {"message": "There is no such resource."})
        return resource

    def page(self, text):
        self.send(200, "text/html; charset=utf-8", text.encode())

    def answer(self, status, body=None):
        self.send(status, "application/json", json.dumps(body).encode() if body is not None else b"")

    def send(self, status, kind, data):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        """Say nothing: requests carry secrets."""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=argparse.FileType())
    parser.add_argument("--port", type=int, default=9300)
    asked = parser.parse_args()
    Handler.provider = Provider(json.load(asked.manifest))
    server = ThreadingHTTPServer(("127.0.0.1", asked.port), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
