"""A conductor with real dynos, a folder of its own, and a router that remembers what it was told."""

import hashlib
import io
import itertools
import shutil
import tarfile
import tempfile
import urllib.request
from collections import defaultdict
from pathlib import Path

import pytest
from django.db import transaction

from ci.sieve import Sieve
from conductor.loop import Conductor
from conductor.parts import Parts
from engine.builder.pack import pack
from engine.builder.slugs import SlugStore
from engine.drivers.local import LocalDriver
from engine.logstore import LogStore
from releases.actions import create_release
from releases.models import Source
from tests.conftest import eventually
from tests.factories import make_slug

NUMBERS = itertools.count(1)
PORTS = range(26000, 26900)
SERVER = "exec python3 -S server.py"
# A tiny web server: it starts in some 20 ms, and answers with its release, its config and its process id.
SERVER_PY = """
import os, socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(os.environ["PORT"])))
s.listen(64)
text = "%s|%s|%s" % (os.environ["SLIPWAY_RELEASE_VERSION"], os.environ.get("GREETING", ""), os.getpid())
while True:
    c, _ = s.accept()
    c.recv(65536)
    c.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(text), text.encode()))
    c.close()
"""


def ended(job, seconds=20):
    """Wait for the end of a build, release or promotion target."""

    def check():
        job.refresh_from_db()
        return job.status not in ("pending", "running")

    eventually(check, seconds)
    return job


class Signpost:
    """A whole router but for the requests: it keeps the routes, for tests to follow by themselves."""

    def __init__(self):
        self.routes = {}
        self.history = defaultdict(list)
        self.busy = {}
        self.quiet_for = {}

    def put(self, route):
        self.routes[route.app] = route
        self.history[route.app].append(route)

    def drop(self, app):
        self.routes.pop(app, None)

    def in_flight(self, backend_id):
        return self.busy.get(backend_id, 0)

    def quiet(self, app):
        return self.quiet_for.get(app, 0.0)


class Stage:
    """One conductor and what tests ask of it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.router = Signpost()
        self.slugs = SlugStore(data / "slugs")
        self.logs = LogStore(data / "logs")
        self.conductor = None

    def start(self):
        driver = LocalDriver(
            self.data / "dynos",
            sink=Sieve(self.logs),
            tree=self.slugs.tree,
            instance="conductor-tests",
            ports=PORTS,
        )
        self.conductor = Conductor(Parts(driver, self.router, self.logs, self.slugs, self.data))
        self.conductor.start()
        return self.conductor

    def stop(self):
        if self.conductor:
            self.conductor.stop()
            self.conductor = None

    def slug(self, app, *, files=None, **types):
        """A slug in store and database. Without process types: the tiny web server."""
        tree = Path(tempfile.mkdtemp(dir=self.data))
        for name, text in {"server.py": SERVER_PY, **(files or {})}.items():
            (tree / name).write_text(text)
        (tree / "types").write_text(repr(types))
        pack(tree, tree.with_suffix(".tar.zst"), max_bytes=10**7)
        digest = self.slugs.put(tree.with_suffix(".tar.zst"))
        return make_slug(app, digest=digest, process_types=types or {"web": SERVER})

    def deploy(self, app, by, *, files=None, **types):
        """A release of a fresh slug, as a build would have made it."""
        slug = self.slug(app, files=files, **types)
        with transaction.atomic():
            return create_release(app, kind="deploy", description=f"Deploy {slug.short}", by=by, slug=slug)

    def deployed(self, app, by, *, files=None, **types):
        """The same, and it has succeeded."""
        release = ended(self.deploy(app, by, files=files, **types))
        assert release.status == "succeeded", release.reason
        return release

    def backends(self, app):
        route = self.router.routes.get(str(app.pk))
        return list(route.backends) if route else []

    def get(self, app):
        """(version, greeting, pid) as the app's first backend answers."""
        backend = self.backends(app)[0]
        with urllib.request.urlopen(f"http://{backend.host}:{backend.port}/", timeout=5) as answer:
            version, greeting, pid = answer.read().decode().split("|")
        return version, greeting, int(pid)

    def lines(self, stream):
        return [entry.line.text.decode() for entry in self.logs.read(stream)]


@pytest.fixture
def data(settings):
    folder = Path(tempfile.mkdtemp(prefix="slipway-conductor-"))
    folder.chmod(0o755)
    settings.DATA = folder
    settings.STOP_SECONDS, settings.BOOT_SECONDS = 3, 10
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def stage(transactional_db, data):
    stage = Stage(data)
    yield stage
    stage.stop()


@pytest.fixture
def platform(stage):
    stage.start()
    return stage


@pytest.fixture
def source(data):
    """Makes a source to build: the tiny web server with a Procfile, or the files given."""

    def make(app, **files):
        n = next(NUMBERS)
        files = {"server.py": SERVER_PY, "Procfile": f"web: {SERVER}\n", **files}
        place = data / "sources" / f"{n}.tar.gz"
        place.parent.mkdir(exist_ok=True)
        with tarfile.open(place, "w:gz") as archive:
            for name, text in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        return Source.objects.create(
            app=app,
            path=str(place.relative_to(data)),
            checksum="sha256:" + hashlib.sha256(place.read_bytes()).hexdigest(),
            commit=f"{n:040x}",
            branch="main",
            message="A change",
        )

    return make
