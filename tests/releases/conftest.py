"""A real server, a real git, and a stand-in for the conductor that writes the rows and lines it would."""

import asyncio
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from django.conf import settings

from accounts import actions as account_actions
from apps.logs import store
from config.server import serve
from core import live
from engine.spec import Line
from releases import actions
from releases.models import Build, Release
from tests.conftest import eventually
from tests.factories import make_slug


class Server:
    """Our Daphne in a thread of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def start(self):
        from config.asgi import application

        self.running = self.call(serve(application, tcp=("127.0.0.1", 0)))
        self.url = f"http://127.0.0.1:{self.running.port}"
        return self

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def stop(self):
        self.call(self.running.stop(grace=1))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def server(transactional_db):
    server = Server().start()
    yield server
    server.stop()


@pytest.fixture
def app(alice):
    from tests.factories import make_app

    return make_app("shop", owner=alice)


@pytest.fixture
def token(alice):
    return account_actions.create_token(alice, "laptop", by=alice)[1]


class Repo:
    """A clone as a developer has it."""

    def __init__(self, folder: Path, url: str):
        self.folder, self.url = folder, url
        folder.mkdir()
        self.git("init", "-q", "-b", "main")
        self.commit({"index.html": "hello"}, "First")

    def env(self):
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C.UTF-8",
            **{f"GIT_{who}_NAME": "Zoë" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "zoe@example.com" for who in ("AUTHOR", "COMMITTER")},
        }

    def git(self, *arguments, check=True, **options):
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=self.env(), capture_output=True, timeout=60, **options
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done

    def commit(self, files, message, *extra):
        for name, content in files.items():
            (self.folder / name).write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, *extra)
        return self.head

    @property
    def head(self):
        return self.git("rev-parse", "HEAD").stdout.decode().strip()

    def start_push(self, *what, stdin=None):
        return subprocess.Popen(
            ["git", "push", self.url, *(what or ["main"])],
            cwd=self.folder,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def push(self, *what):
        process = self.start_push(*what)
        output = process.communicate(timeout=60)[0].decode()
        return process.returncode, output


@pytest.fixture
def repo(server, app, token, tmp_path):
    return Repo(tmp_path / "clone", with_token(f"{server.url}/shop.git", token))


def with_token(url, token):
    return url.replace("://", f"://heroku:{token}@")


class Conductor:
    """Takes builds as they come and ends them as told, in the words and order that the real one uses."""

    def __init__(self, *, outcome="succeeded", lines=("-----> Static app detected",), release="succeeded"):
        self.outcome, self.lines, self.release = outcome, lines, release
        self.go, self.over = threading.Event(), threading.Event()
        self.go.set()
        self.built = []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.go.set()
        self.thread.join(10)

    def _run(self):
        from django.db import connection

        while not self.over.is_set():
            build = Build.objects.filter(status="pending").first()
            if build is None:
                time.sleep(0.01)
                continue
            self._build(build)
        connection.close()

    def _build(self, build):
        Build.objects.filter(pk=build.pk).update(status="running")
        self.built.append(build.source.commit)
        say(build.log_stream, *self.lines)
        self.go.wait(30)
        if self.outcome != "succeeded":
            Build.objects.filter(pk=build.pk).update(status=self.outcome, reason="No buildpack fits.")
            live.tell_now(build.app.topic)
            return
        slug = make_slug(build.app, commit=build.source.commit)
        release = actions.create_release(
            build.app, kind="deploy", description=f"Deploy {slug.short}", by=build.by, slug=slug
        )
        Build.objects.filter(pk=build.pk).update(status="succeeded", slug=slug, release=release)
        say(release.log_stream, "Migrating")
        Release.objects.filter(pk=release.pk).update(status=self.release, reason="Release phase: status 1")
        live.tell_now(build.app.topic)


def say(stream, *lines):
    store().append(stream, [Line("app", "build", line.encode(), time.time()) for line in lines])


@pytest.fixture
def conductor():
    with Conductor() as conductor:
        yield conductor


def archive(build):
    return settings.DATA / build.source.path


__all__ = ["Conductor", "Repo", "archive", "eventually", "say", "with_token"]
