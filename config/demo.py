"""`bin/up --demo`: a ready pipeline with the apps of `samples/`, really pushed, built and promoted."""

import base64
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from accounts import actions as accounts
from accounts.models import Team, User
from apps import actions as apps
from apps.models import App
from pipelines import actions as pipelines
from pipelines.models import Coupling, Pipeline, Promotion, Stage
from releases import actions as releases

Say = Callable[[str], None]
NAME = "demo"
PUSHER = "demo@slipway.invalid"
SAMPLES = {"python": "Python", "node": "Node", "static": "Static site"}


def make(say: Say) -> None:
    """Make the pipeline `demo` unless there is one, and tell `say` about each step."""
    if Pipeline.objects.filter(name=NAME).exists():
        say(f"The demo pipeline is at {settings.URL}/pipelines/{NAME}/")
        return
    by = _pusher()
    team = Team.objects.filter(name=NAME).first() or accounts.create_team(NAME, by=by)
    for person in User.objects.can_sign_in().filter(is_staff=True):
        accounts.set_role(team, person, "admin", by=by)
    pipeline = pipelines.create_pipeline(NAME, owner=team, by=by)
    with _token(by) as token:
        for sample, title in SAMPLES.items():
            if sample == "node" and not shutil.which("node"):
                say("Node is not installed here: the Node sample is left out.")
                continue
            _deploy(sample, title, pipeline, team, by, token, say)
    say(
        f"The demo is ready: {settings.URL}/pipelines/{NAME}/ — each staging app is a commit ahead, press Promote."
    )


def _deploy(sample: str, title: str, pipeline: Pipeline, team: Team, by: User, token: str, say: Say) -> None:
    """Push the sample to staging, promote it to production, then push one more commit to promote by hand."""
    staging = _app(f"{NAME}-{sample}", "staging", pipeline, team, by)
    live = _app(f"{NAME}-{sample}-live", "production", pipeline, team, by)
    if sample == "python":
        releases.set_config(staging.app, {"GREETING": "Hello from staging"}, by=by)
        releases.set_config(live.app, {"GREETING": "Hello from production"}, by=by)
    folder = settings.DATA / "demo" / sample
    say(f"{title}: pushing {staging.app.name} …")
    if not _first_push(sample, folder, staging.app, token, say):
        return
    promotion = pipelines.promote(staging, [live], by=by, note="The demo's first promotion")
    if _settled(promotion) != "succeeded":
        say(f"{title}: the promotion to {live.app.name} failed; its page says why.")
        return
    readme = folder / "README.md"
    readme.write_text(readme.read_text() + "\nChanged a moment ago, and waiting to be promoted.\n")
    _git(folder, "commit", "-qam", "Say that something is waiting to be promoted")
    _push(folder, staging.app, token, say)


def _first_push(sample: str, folder: Path, app: App, token: str, say: Say) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(settings.BASE_DIR / "samples" / sample, folder)
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-qm", f"The {SAMPLES[sample].lower()} sample")
    return _push(folder, app, token, say)


def _push(folder: Path, app: App, token: str, say: Say) -> bool:
    started = time.monotonic()
    url = f"http://127.0.0.1:{settings.PORT}/{app.name}.git"
    basic = base64.b64encode(f"demo:{token}".encode()).decode()
    # In the environment, since arguments can be read by every user of the machine.
    secret = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
    }
    done = _git(folder, "push", url, "HEAD:main", check=False, **secret)
    if done.returncode:
        say(f"The push of {app.name} failed:\n{done.stderr.strip()}")
        return False
    say(f"  {app.name} is live after {time.monotonic() - started:.1f} s.")
    return True


def _git(folder: Path, *args: str, check: bool = True, **env: str) -> "subprocess.CompletedProcess[str]":
    author = {
        "GIT_AUTHOR_NAME": "Slipway",
        "GIT_AUTHOR_EMAIL": PUSHER,
        "GIT_COMMITTER_NAME": "Slipway",
        "GIT_COMMITTER_EMAIL": PUSHER,
    }
    own = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "SLIPWAY_"))}
    return subprocess.run(
        ["git", "-C", str(folder), *args],
        check=check,
        capture_output=True,
        text=True,
        env={**own, **author, **env, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"},
    )


def _app(name: str, stage: str, pipeline: Pipeline, team: Team, by: User) -> Coupling:
    app = App.objects.filter(name=name).first() or apps.create_app(name, owner=team, by=by)
    return pipelines.couple(app, Stage.objects.get(pipeline=pipeline, name=stage), by=by)


def _pusher() -> User:
    user = User.objects.filter(email=PUSHER).first()
    return user or User.objects.create_user(PUSHER, None, name="Slipway demo")


@contextmanager
def _token(user: User) -> Iterator[str]:
    token, secret = accounts.create_token(user, "demo", by=user)
    try:
        yield secret
    finally:
        accounts.revoke_token(token, by=user)


def _settled(promotion: Promotion, seconds: float = 90) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        target = promotion.targets.get()
        if target.status in ("succeeded", "failed"):
            return target.status
        time.sleep(0.1)
    return "pending"
