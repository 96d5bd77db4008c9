"""Webhooks through the API: what can be asked for, by whom, and what their news look like."""

import pytest

from apps import actions as app_actions
from apps import certificates, one_offs
from core import activity
from core.models import Event
from hooks import payloads
from hooks.models import Delivery, News, Webhook
from pipelines import actions as pipeline_actions
from releases.actions import create_build, fail_release, set_config
from tests.api.published import SHAPES
from tests.certificates import leaf
from tests.factories import make_addon, make_app, make_pipeline, make_release, make_source, stage

BODY = {"include": ["api:release", "api:app"], "level": "notify", "url": "https://93.184.215.14/hooks"}
EVERYTHING = [
    "api:app",
    "api:build",
    "api:release",
    "api:formation",
    "api:domain",
    "api:collaborator",
    "api:dyno",
    "dyno",
]


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice, released=True)


def hook(api, **extra):
    answer = api.post("/apps/shop/webhooks", {**BODY, **extra})
    assert answer.status_code == 201, answer.json()
    return answer


def test_add_info_list_update_remove(api, app):
    answer = hook(api, secret="hush", authorization="Bearer mine")
    made = answer.json()
    assert answer.headers["Heroku-Webhook-Secret"] == "hush"
    assert made["app"] == {"id": str(app.pk), "name": "shop"} and made["include"] == BODY["include"]
    path = f"/apps/shop/webhooks/{made['id']}"
    assert api.get(path).json() == made and api.get("/apps/shop/webhooks").json() == [made]
    changed = api.patch(path, {"include": ["dyno"], "level": "sync", "secret": None}).json()
    assert (changed["include"], changed["level"], changed["url"]) == (["dyno"], "sync", BODY["url"])
    row = Webhook.objects.get()
    assert (row.secret, row.authorization) == ("hush", "Bearer mine")
    api.patch(path, {"authorization": None, "secret": "other"})
    row = Webhook.objects.get()
    assert (row.secret, row.authorization, row.level) == ("other", "", "sync")
    assert api.delete(path).json()["id"] == made["id"]
    assert api.get(path).status_code == 404 and api.get("/apps/shop/webhooks").json() == []


@pytest.mark.promise("I-39")
def test_secrets_are_told_once_and_sealed(api, app):
    answer = hook(api, authorization="Bearer mine")
    secret = answer.headers["Heroku-Webhook-Secret"]
    assert len(secret) == 64
    row = Webhook.objects.get()
    assert row.secret == secret and secret not in str(row.__dict__) and "mine" not in str(row.__dict__)
    for path in ("/apps/shop/webhooks", f"/apps/shop/webhooks/{row.pk}"):
        found = api.get(path)
        assert secret.encode() not in found.content and b"mine" not in found.content
        assert "Heroku-Webhook-Secret" not in found.headers
    assert secret not in str(list(Event.objects.values())) and "hooks" not in str(
        list(Event.objects.values())
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"include": ["api:app", "api:nothing"]}, "api:nothing"),
        ({"include": ["api:nothing"]}, "api:addon, api:addon-attachment, api:app, api:build"),
        ({"include": []}, "Include something"),
        ({"level": "loud"}, "notify"),
        ({"url": "ftp://example.com"}, "http"),
        ({"url": "http://127.0.0.1/"}, "internal address"),
        ({"url": "http://[::1]/"}, "internal address"),
        ({"url": "https://me:pass@93.184.215.14/"}, "out of the URL"),
        ({"url": "https://93.184.215.14:22/"}, "ports"),
        ({"secret": "x" * 1001}, "1000 characters"),
        ({"authorization": "a\r\nX-Other: b"}, "line breaks"),
    ],
)
def test_what_cannot_be_is_refused(api, app, change, says):
    answer = api.post("/apps/shop/webhooks", {**BODY, **change})
    assert answer.status_code == 422 and says in answer.json()["message"]
    assert not Webhook.objects.exists()


def test_a_host_that_is_not_known_may_come_to_be(api, app):
    assert hook(api, url="https://hooks.invalid/x").json()["url"] == "https://hooks.invalid/x"


def test_ten_webhooks_are_enough(api, app):
    for _ in range(10):
        hook(api)
    answer = api.post("/apps/shop/webhooks", BODY)
    assert answer.status_code == 422 and "10 webhooks" in answer.json()["message"]


def test_who_may(api, app, alice, bob, as_bob, as_charlie):
    made = hook(api).json()
    places = ["webhooks", f"webhooks/{made['id']}", "webhook-deliveries", "webhook-events"]
    assert {as_charlie.get(f"/apps/shop/{place}").status_code for place in places} == {404}
    app_actions.share(app, bob, ["view", "deploy"], by=alice)
    assert {as_bob.get(f"/apps/shop/{place}").status_code for place in places} == {403}
    assert as_bob.post("/apps/shop/webhooks", BODY).status_code == 403
    app_actions.share(app, bob, ["operate"], by=alice)
    assert {as_bob.get(f"/apps/shop/{place}").status_code for place in places} == {200}
    make_app("other", owner=bob)
    assert as_bob.get(f"/apps/other/webhooks/{made['id']}").status_code == 404
    assert as_bob.delete(f"/apps/other/webhooks/{made['id']}").status_code == 404


def test_deliveries_and_events(api, app, alice):
    hook(api, include=["api:app"])
    hook(api, include=["api:app"], level="sync")
    app_actions.set_maintenance(app, True, by=alice)
    app_actions.set_maintenance(app, False, by=alice)
    done = Delivery.objects.filter(level="notify").last()
    Delivery.objects.filter(pk=done.pk).update(status="failed", attempts=4)
    found = api.get("/apps/shop/webhook-deliveries", Range="seq ..; order=desc,max=1000").json()
    assert [row["webhook"]["level"] for row in found].count("sync") == 2 and len(found) == 4
    newest = found[0]
    assert newest["event"]["id"] == str(News.objects.first().ref)
    assert (newest["status"], newest["num_attempts"], newest["last_attempt"]) == ("pending", 0, None)
    failed = api.get("/apps/shop/webhook-deliveries?eq[status]=failed").json()
    assert [row["id"] for row in failed] == [str(done.pk)]
    assert api.get("/apps/shop/webhook-deliveries?eq[status]=odd").json() == []
    assert api.get(f"/apps/shop/webhook-deliveries/{done.pk}").json()["status"] == "failed"
    page = api.get("/apps/shop/webhook-deliveries", Range="seq ..; max=3")
    assert page.status_code == 206
    rest = api.get("/apps/shop/webhook-deliveries", Range=page.headers["Next-Range"])
    assert len({row["id"] for row in page.json() + rest.json()}) == 4
    events = api.get("/apps/shop/webhook-events").json()
    assert [row["payload"]["data"]["maintenance"] for row in events] == [True, False]
    assert api.get(f"/apps/shop/webhook-events/{events[0]['id']}").json() == events[0]
    assert api.get(f"/apps/shop/webhook-events/{app.pk}").json()["resource"] == "webhook_event"


def news(include):
    return [
        (row.action, row.data, row.previous_data)
        for row in News.objects.filter(include=include).order_by("seq")
    ]


def test_what_happens_to_an_app_is_told(api, app, alice, bob):
    hook(api, include=EVERYTHING, url="https://hooks.invalid/x")
    app_actions.rename_app(app, "store", by=alice)
    build = create_build(app, make_source(app), by=alice)
    claimed = type(build).objects.claim()
    claimed.end("succeeded")
    release = make_release(app, by=alice, status="pending", current=False)
    fail_release(release, "It broke.")
    set_config(app, {"SECRET": "hush-hush"}, by=alice)
    app_actions.scale(app, {"web": {"quantity": 3, "size": "Standard-2X"}}, by=alice)
    domain = app_actions.add_domain(app, "www.example.com", by=alice)
    app_actions.remove_domain(domain, by=alice)
    app_actions.share(app, bob, ["view"], by=alice)
    collaborator = app_actions.share(app, bob, ["deploy"], by=alice)
    app_actions.unshare(collaborator, by=alice)
    one_offs.run_detached(app, "true", release_version=1, by=alice)
    assert [(action, data["name"], before) for action, data, before in news("api:app")] == [
        ("update", "store", {"name": "shop"})
    ]
    assert [(action, data["status"]) for action, data, _ in news("api:build")] == [
        ("create", "pending"), ("update", "succeeded"),
    ]  # fmt: skip
    assert [(action, data["version"], data["status"]) for action, data, _ in news("api:release")] == [
        ("create", 2, "pending"), ("update", 2, "failed"), ("create", 3, "pending"),
    ]  # fmt: skip
    ((action, data, before),) = news("api:formation")
    assert (action, data["quantity"], data["size"]) == ("update", 3, "Standard-2X")
    assert before == {"quantity": 1, "size": "Standard-1X"}
    assert [(action, data["hostname"]) for action, data, _ in news("api:domain")] == [
        ("create", "www.example.com"), ("destroy", "www.example.com"),
    ]  # fmt: skip
    assert [(action, data["user"]["email"]) for action, data, _ in news("api:collaborator")] == [
        (action, "bob@example.com") for action in ("create", "update", "destroy")
    ]
    assert [(action, data["type"]) for action, data, _ in news("api:dyno")] == [("create", "run")]
    assert "hush-hush" not in str(list(News.objects.values()))


@pytest.mark.parametrize(
    ("shape", "make"),
    [
        ("app", lambda app: app),
        ("release", lambda app: app.releases.get()),
        ("formation", lambda app: app.formation.get()),
        ("domain", lambda app: app.domains.get()),
        ("collaborator", lambda app: app.collaborators.get()),
    ],
)
def test_data_has_nothing_that_the_api_does_not_show(api, app, alice, bob, shape, make):
    app_actions.add_domain(app, "www.example.com", by=alice)
    app_actions.share(app, bob, ["deploy"], by=alice)
    paths = {
        "app": "",
        "collaborator": "collaborators",
        "formation": "formation",
        "release": "releases",
        "domain": "domains",
    }
    shown = api.get(f"/apps/shop/{paths[shape]}".rstrip("/")).json()
    rows = shown if isinstance(shown, list) else [shown]
    row = next(row for row in rows if row["id"] == str(make(app).pk))
    told = payloads.data(make(app))
    assert set(told) <= set(row) and {"id", "created_at", "updated_at"} <= set(told)
    differing = {name for name in told if told[name] != row[name]}
    assert not differing, {name: (told[name], row[name]) for name in differing}
    assert shape in SHAPES


def test_certificates_and_add_ons_are_told_of_without_their_secrets(api, app, alice):
    hook(
        api, include=["api:sni-endpoint", "api:addon", "api:addon-attachment"], url="https://hooks.invalid/x"
    )
    issued = leaf("www.example.com")
    certificate = certificates.add_certificate(app, issued.chain, issued.key_pem, by=alice)
    addon = make_addon(app)
    activity.record(alice, "created", addon, app=app)
    activity.record(alice, "attached", addon.attachments.get(), app=app)
    ((action, data, _),) = news("api:sni-endpoint")
    shown = api.get("/apps/shop/sni-endpoints").json()[0]
    assert action == "create" and {name: shown[name] for name in data} == data
    assert certificate.key[:60] not in str(list(News.objects.values())) and "PRIVATE" not in str(data)
    assert [(action, data["plan"]["name"]) for action, data, _ in news("api:addon")] == [
        ("create", "heroku-postgresql:mini")
    ]
    assert [(action, data["name"]) for action, data, _ in news("api:addon-attachment")] == [
        ("create", "DATABASE")
    ]
    certificates.remove_certificate(certificate, by=alice)
    assert news("api:sni-endpoint")[-1][0] == "destroy"


def test_pipelines_have_webhooks_too(api, alice, as_charlie):
    pipeline = make_pipeline("line", owner=alice)
    answer = api.post("/pipelines/line/webhooks", {**BODY, "include": ["api:app"]})
    assert answer.status_code == 422 and "api:pipeline-promotion" in answer.json()["message"]
    include = ["api:pipeline", "api:pipeline-coupling", "api:pipeline-promotion"]
    made = api.post("/pipelines/line/webhooks", {**BODY, "include": include}).json()
    path = f"/pipelines/line/webhooks/{made['id']}"
    assert as_charlie.get(path).status_code == 404
    source = make_app("one", owner=alice, stage=stage(pipeline, "staging"), released=True)
    target = make_app("two", owner=alice, stage=stage(pipeline, "production"))
    pipeline_actions.promote(source.coupling, [target.coupling], by=alice)
    pipeline_actions.rename_pipeline(pipeline, "newline", by=alice)
    events = api.get("/pipelines/newline/webhook-events").json()
    assert [(row["include"], row["payload"]["action"]) for row in events] == [
        ("api:pipeline-coupling", "create"),
        ("api:pipeline-coupling", "create"),
        ("api:pipeline-promotion", "create"),
        ("api:pipeline", "update"),
    ]
    path = f"/pipelines/newline/webhooks/{made['id']}"
    assert len(api.get("/pipelines/newline/webhook-deliveries").json()) == 4
    delivery = api.get("/pipelines/newline/webhook-deliveries").json()[0]
    assert api.get(f"/pipelines/newline/webhook-deliveries/{delivery['id']}").json() == delivery
    assert api.get(f"/pipelines/newline/webhook-events/{events[0]['id']}").json() == events[0]
    assert api.patch(path, {"level": "sync"}).json()["level"] == "sync"
    assert api.delete(path).status_code == 200
