"""What the pages give a browser: no markup of other people's (I-44), nothing that another site could use (I-45)."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client

from accounts import cli_sign_in
from accounts.actions import create_token
from apps import logs
from apps.models import App, Dyno
from core.models import Event
from dashboard.urls import urlpatterns
from engine.spec import Line
from pipelines import actions
from pipelines.models import Coupling, Promotion
from releases.actions import create_build, set_config
from releases.models import Build, Release
from tests.factories import make_pipeline, make_release, make_slug, make_source

HOSTILE = "\"'><script>pwned()</script><img src=x onerror=pwned()>{{ 7|add:7 }}"
TERMINAL = "\x1b]8;;javascript:pwned()\x1b\\<b>\x1b[31m<script>pwned()</script>\x1b]0;title\x07\u202e"
LINK = "javascript:pwned()"
NAMES = {"pipelines": "shop", "apps": "shop-staging", "teams": "acme"}


class Page(HTMLParser):
    """What matters of a page's markup."""

    def __init__(self, text):
        super().__init__()
        self.bad, self.forms, self.form = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        has = dict(attributes)
        inline = tag == "style" or (tag == "script" and "src" not in has)
        handlers = [name for name in has if name.startswith("on") or name == "style"]
        links = [
            v
            for name, v in attributes
            if name in ("href", "src", "action") and (v or "").startswith("javascript:")
        ]
        if inline or handlers or links or has.get("src") == "x":
            self.bad.append((tag, has))
        if tag == "form":
            self.form = {"method": has.get("method", "get").lower(), "token": False}
            self.forms.append(self.form)
        if tag == "input" and has.get("name") == "csrfmiddlewaretoken" and self.form:
            self.form["token"] = True

    def handle_endtag(self, tag):
        if tag == "form":
            self.form = None


@pytest.fixture
def hostile(shop, alice):
    """Everything that people write freely, hostile."""
    type(alice).objects.filter(pk=alice.pk).update(name=HOSTILE[:100])
    staging, production = (App.objects.get(name=f"shop-{stage}") for stage in ("staging", "production"))
    slug = make_slug(
        staging,
        message=HOSTILE,
        author=HOSTILE,
        branch=HOSTILE,
        process_types={"web": HOSTILE, "release": HOSTILE},
    )
    release = make_release(staging, by=alice, slug=slug, description=HOSTILE)
    Dyno.objects.create(
        app=staging, type="web", number=1, command=HOSTILE, release_version=2, state="crashed", reason=HOSTILE
    )
    build = create_build(
        production, make_source(production, message=HOSTILE, author=HOSTILE, version=HOSTILE), by=alice
    )
    Build.objects.filter(pk=build.pk).update(status="failed", reason=HOSTILE)
    source = Coupling.objects.get(app=staging)
    promotion = actions.promote(source, source.downstream(), by=alice, note=HOSTILE)
    promotion.targets.update(status="failed", reason=HOSTILE)
    failed = make_release(production, by=alice, status="failed", current=False, description=HOSTILE)
    Release.objects.filter(pk=failed.pk).update(reason=HOSTILE, note=LINK)
    Event.objects.filter(pipeline_id=shop.pk)._raw_delete(using="default")
    actions.rename_pipeline(shop, "shop", by=alice)
    make_pipeline("empty", owner=alice)
    for stream in (staging.log_stream, build.log_stream, failed.log_stream):
        logs.store().append(
            stream, [Line("app", "web.1", text.encode(), 1.0) for text in (HOSTILE, TERMINAL)]
        )
    create_token(alice, HOSTILE, by=alice)
    question, _ = cli_sign_in.ask(HOSTILE, address=None)
    set_config(staging, {"KEY": HOSTILE}, by=alice)
    return {
        "version": release.version,
        "build_id": build.pk,
        "promotion_id": promotion.pk,
        "ref": question.pk,
    }


def addresses(known):
    """Every address of the dashboard, with names and ids of things that exist where there are any."""
    for pattern in urlpatterns:
        route = str(pattern.pattern)
        if route.startswith("^"):  # two of allauth's own, which show nothing of ours
            continue
        names = {
            "name": NAMES.get(route.partition("/")[0], ""),
            "app_name": "shop-staging",
            "stage_name": "staging",
        }
        values = {"dyno": "web.1", "key": "KEY", "secret": "x", "version": 1, **names, **known}
        yield "/" + re.sub(r"<(?:(\w+):)?(\w+)>", lambda m: _fill(values, *m.groups()), route)


def _fill(values, kind, name):
    return str(values.get(name, 1 if kind == "int" else uuid4()))


@pytest.mark.promise("I-44")
def test_what_people_write_is_never_markup(hostile, alice, client):
    client.force_login(alice)
    seen = 0
    extra = ["/pipelines/shop/promotions/new/?from=shop-staging", "/jump/?q=" + HOSTILE, "/?q=" + HOSTILE]
    production = [path.replace("shop-staging", "shop-production") for path in addresses(hostile)]
    for path in [*addresses(hostile), *production, *extra, "/pipelines/shop/?q=" + HOSTILE]:
        answer = client.get(path)
        if answer.status_code != 200 or "html" not in answer.headers["Content-Type"]:
            continue
        text = answer.content.decode()
        assert "<script>pwned" not in text and "<img src=x" not in text, path
        assert not Page(text).bad, path
        assert "\x1b" not in text and "\u202e" not in text, path  # a terminal's orders, and turned text
        seen += "&lt;script&gt;pwned" in text
    assert seen >= 20  # else the pages did not even show it
    assert Promotion.objects.exists()


@pytest.mark.promise("I-44")
def test_what_is_refused_is_said_back_as_text(hostile, alice, client):
    client.force_login(alice)
    for path, data in (
        ("/pipelines/new/", {"name": HOSTILE, "staging": HOSTILE}),
        ("/teams/", {"name": HOSTILE}),
        ("/teams/acme/invitations/", {"email": HOSTILE, "role": HOSTILE}),
        ("/pipelines/shop/stages/", {"stage": HOSTILE, "word": HOSTILE}),
        ("/pipelines/shop/owner/", {"owner": "@" + HOSTILE}),
        ("/pipelines/shop/couplings/", {"name": HOSTILE, "stage": "staging"}),
    ):
        text = client.post(path, data).content.decode()
        assert "<script>pwned" not in text and not Page(text).bad, path
        assert "&lt;script&gt;pwned" in text, path
    client.logout()
    text = client.post("/sign-in/", {"email": HOSTILE, "password": "x", "next": LINK}).content.decode()
    assert "<script>pwned" not in text and not Page(text).bad


@pytest.mark.promise("I-45")
def test_every_form_has_a_token_and_every_post_demands_one(hostile, alice):
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(alice)
    forms = 0
    for path in [*addresses(hostile), "/pipelines/shop/promotions/new/?from=shop-staging"]:
        answer = careful.get(path)
        if answer.status_code == 200 and "html" in answer.headers["Content-Type"]:
            for form in Page(answer.content.decode()).forms:
                assert form["token"] == (form["method"] == "post"), path
                forms += form["method"] == "post"
        assert careful.post(path, {"name": "x"}).status_code in (403, 405), path
        assert careful.post(path, headers={"HX-Request": "true"}).status_code in (403, 405), path
    assert forms > 30
    assert not Event.objects.filter(through="web").exists()


@pytest.mark.promise("I-45")
def test_headers_keep_scripts_frames_and_strangers_out(hostile, alice, client):
    for path in ("/sign-in/", "/pipelines/shop/", "/nowhere/", "/apps/foreign/"):
        client.force_login(alice)
        answer = client.get(path)
        policy = dict(
            part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["style-src"] == "'self'"
        # The tests run with sign-in through GitHub switched on, whose form leads there.
        assert policy["form-action"] == "'self' https://github.com"
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in client.get("/pipelines/shop/").headers["Cache-Control"]


@pytest.mark.promise("I-45")
def test_cookies_are_out_of_reach(alice, client):
    client.get("/sign-in/")
    client.post("/sign-in/", {"email": "alice@example.com", "password": "a fine password"})
    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
        cookie = client.cookies[name]
        assert cookie["httponly"] and cookie["samesite"] == "Lax" and not cookie["domain"]


@pytest.mark.promise("I-45")
def test_on_https_cookies_are_bound_to_the_host():
    asked = "from config import settings as s; print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE)"
    environment = {**os.environ, "SLIPWAY_URL": "https://slipway.example"}
    done = subprocess.run(
        [sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True
    )
    session, csrf, secure = done.stdout.split()
    assert session.startswith("__Host-") and csrf.startswith("__Host-") and secure == "True"


@pytest.mark.promise("I-45")
def test_foreign_hosts_are_refused(client, db):
    assert client.get("/sign-in/", headers={"host": "evil.example"}).status_code == 400
