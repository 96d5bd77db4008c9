"""Every answer has the published shape, whatever there is to tell; other tests' answers are compared as they come."""

import re

import pytest
from django.utils import timezone

from accounts import invitations, keys, oauth
from api.urls import api as served
from apps import certificates, transfers
from apps.actions import set_maintenance
from apps.drains import add_drain, give_to_addon
from apps.models import Collaborator, Domain, Dyno, Formation
from ci import actions as ci
from ci.models import TestCase, TestNode
from forge.models import AutoDeploy
from hooks.actions import add_webhook
from hooks.models import Delivery
from pipelines import actions
from releases.models import Build, Release, Source
from reviews import actions as review_actions
from reviews.models import AppSetup, ReviewApp
from tests.api.contract import check
from tests.api.published import ROUTES
from tests.certificates import leaf
from tests.factories import make_addon, make_app, make_pipeline, stage
from tests.githosts.conftest import connected

# Routes that the schema does not have: the CLI alone knows them.
NONE_YET = {"/account/invoices", "/account/credits", "/addon-services", "/spaces", "/oauth/sessions"}
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB me@laptop"
# Heroku's data host, whose shapes nobody has published: what `pg:*` and `redis:*` make of them is in test_databases.
DATA_HOST = ("/client/v11/", "/postgres/v0/", "/redis/v0/", "/data/maintenances/")
UNPUBLISHED = {"/oauth/sessions", "/accounts/{}/actions/get-quota"}


@pytest.fixture
def things(alice, bob, team):
    """One of everything, and how it is called in paths."""
    pipeline = make_pipeline("line", owner=team)
    staging = make_app("shop-staging", owner=team, stage=stage(pipeline, "staging"), released=True)
    make_app("shop", owner=team, stage=stage(pipeline, "production"), released=True)
    hooks = told(staging, pipeline, by=alice)
    drain = add_drain(staging, "https://logs.invalid/x", by=alice)
    mine = make_app("mine", owner=alice, released=True)
    release = Release.objects.get(app=staging, current=True)
    promotion = actions.promote(staging.coupling, [c for c in staging.coupling.downstream()], by=alice)
    source = Source.objects.create(app=staging, user=alice, commit="a" * 40, message="Change")
    build = Build.objects.create(
        app=staging, source=source, by=alice, status="succeeded", slug=release.slug, release=release,
        buildpacks=["heroku/python"], finished_at=timezone.now(),
    )  # fmt: skip
    Formation.objects.get_or_create(app=staging, type="web", defaults={"quantity": 1})
    dyno = Dyno.objects.create(
        app=staging, type="web", number=1, command="x", release_version=release.version
    )
    issued = leaf("www.example.test")
    certificate = certificates.add_certificate(staging, issued.chain, issued.key_pem, by=alice)
    Domain.objects.create(app=staging, hostname="www.example.test", certificate=certificate)
    Collaborator.objects.create(app=staging, user=bob, rights=["view"])
    staging.buildpacks = ["heroku/python"]
    staging.save()
    addon = make_addon(staging, name="pg-1")
    give_to_addon(staging, addon.pk, "https://logs.invalid/y", token="d.pg-1", by=alice)
    transfer = transfers.hand_over(mine, bob, by=alice)
    invitations.invite(team, "new@example.com", "member", by=alice)
    key = keys.add(alice, PUBLIC_KEY, by=alice)
    client, _ = oauth.create_client("Bot", "https://bot.example.com/back", by=alice)
    connected(pipeline, alice, heads={"main": "a" * 40})
    AutoDeploy.objects.create(app=staging, branch="main", by=alice)
    review_actions.set_settings(pipeline, enabled=True, by=alice)
    setup = AppSetup.objects.create(app=staging, source=source, build=build, by=alice, status="failed")
    review = ReviewApp.objects.create(
        pipeline=pipeline, branch="b", subject="branch/b", app=staging, setup=setup, by=alice
    )
    return {
        "review": review.pk, "setup": setup.pk,
        "key": key.pk, "client": client.pk,
        "pipeline": "line", "app": "shop-staging", "team": "acme", "promotion": promotion.pk, "release": "v1",
        "build": build.pk, "dyno": dyno.name, "slug": release.slug_id, "coupling": staging.coupling.pk,
        "transfer": transfer.pk, "token": None, "certificate": certificate.name,
        "drain": drain.token, "test_run": run_of(pipeline, source, by=alice).pk,
        **{what: {kind: hooks[kind](what) for kind in hooks} for what in ("webhooks", "webhook-deliveries", "webhook-events")},
    }  # fmt: skip


def run_of(pipeline, source, *, by):
    """A test run with a node and a case."""
    run = ci.start_run_of_source(pipeline, source, branch="main", commit="a" * 40, message="x", by=by)
    node = TestNode.objects.create(run=run, index=0)
    TestCase.objects.create(run=run, node=node, number=1, description="adds", passed=True)
    return run


def told(app, pipeline, *, by):
    """Webhooks of an app and a pipeline that had news; how each of what they have is called in paths."""
    for owner, include in ((app, "api:app"), (pipeline, "api:pipeline-coupling")):
        add_webhook(owner, include=[include], level="sync", url="https://hooks.invalid/x", by=by)
    set_maintenance(app, True, by=by)
    make_app("told", owner=app.owner, stage=stage(pipeline, "staging"))
    attempt = {"id": str(app.pk), "code": 500, "error_class": None, "status": "failed"}
    times = dict.fromkeys(("created_at", "updated_at"), "2026-01-01T00:00:00Z")
    Delivery.objects.update(attempts=1, last_attempt=attempt | times, wake_at=timezone.now())

    def of(owner):
        delivery = Delivery.objects.get(webhook__in=owner.webhooks.all())
        names = {
            "webhooks": delivery.webhook_id,
            "webhook-deliveries": delivery.pk,
            "webhook-events": delivery.news.ref,
        }
        return names.__getitem__

    return {"apps": of(app), "pipelines": of(pipeline)}


def paths(things, token):
    """A path for each GET route: what stands in its places, by what comes before them."""
    after = {
        "review-apps": things["review"], "app-setups": things["setup"],
        "pipelines": things["pipeline"], "apps": things["app"], "teams": things["team"], "users": "~",
        "pipeline-promotions": things["promotion"], "releases": things["release"], "builds": things["build"],
        "dynos": things["dyno"], "slugs": things["slug"], "pipeline-couplings": things["coupling"],
        "app-transfers": things["transfer"], "authorizations": token, "stacks": "slipway-24", "regions": "local", "dyno-sizes": "Basic", "formation": "web",
        "domains": "www.example.test", "sni-endpoints": things["certificate"], "collaborators": "bob@example.com", "addons": "pg-1",
        **{what: things[what] for what in ("webhooks", "webhook-deliveries", "webhook-events")},
        "addon-attachments": "DATABASE", "features": {"apps": "preboot", "account": "dashboard-repositories-api", "teams": "org-access-controls"}, "addon-services": "heroku-postgresql", "plans": {"addon-services": "mini", "plans": "heroku-postgresql:mini"}, "config": "credential:default", "accounts": "~", "keys": things["key"], "clients": things["client"], "log-drains": things["drain"],
        "stage": "test", "branches": "main",
        "test-runs": {"pipelines": 1, "test-runs": things["test_run"]},
    }  # fmt: skip
    for _, router in served._routers:
        for route, view in router.path_operations.items():
            if route.startswith(DATA_HOST):
                continue
            if not any("GET" in operation.methods for operation in view.operations):
                continue
            filled, before = [], ""
            for part in route.strip("/").split("/"):
                value = after[before] if part.startswith("{") else part
                filled.append(str(value[filled[0]] if isinstance(value, dict) else value))
                before = part
            yield re.sub(r"\{[^}]*\}", "{}", route), "/" + "/".join(filled)


def test_every_answer_to_a_get_is_as_published(api, things):
    token = api.get("/oauth/authorizations").json()[0]["id"]
    compared = set()
    for route, path in paths(things, token):
        answer = api.get(path)
        assert answer.status_code in (200, 404) if route in UNPUBLISHED else answer.status_code == 200, path
        if check("GET", path, answer.status_code, answer.json()):
            compared.add(route)
        found = answer.json()
        assert found or route in NONE_YET or not (isinstance(found, list)), f"{path} has nothing to compare"
    published = {route.removeprefix("GET ") for route in ROUTES if route.startswith("GET ")}
    assert published == compared


def test_what_is_not_as_published_is_found():
    team = {"name": "acme"}
    with pytest.raises(AssertionError, match=r"team\.role is missing"):
        check("GET", "/teams/acme", 200, team)
    with pytest.raises(AssertionError, match=r"rate-limit\.remaining is '1', not integer"):
        check("GET", "/account/rate-limits", 200, {"remaining": "1"})
    with pytest.raises(AssertionError):
        check("GET", "/teams/acme", 404, {"id": "not_found"})
