"""The operators' site tells no secret either (I-37): every list, row, question, history and search of it is looked at."""

import uuid

import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.test import Client

from accounts import actions as accounts
from accounts.invitations import invite
from accounts.models import ApiToken, Invitation, SignInLink, User
from apps.models import App, Dyno
from core import secrets
from core.admin import Shown
from pipelines.models import Promotion, Stage, StageVar
from releases.actions import create_build, set_config
from releases.models import Release, Source
from tests.admin.conftest import list_of, page_of
from tests.factories import make_addon, make_source, make_user

PLAIN = "hunter2-is-not-4-operators"


@pytest.fixture
def known(shop, team, alice, bob):
    """What must be nowhere: plain and sealed values, digests, hashes, keys of sessions and leases."""
    app = App.objects.get(name="shop-production")
    set_config(app, {"TOKEN": PLAIN}, by=alice)
    dyno = Dyno(app=app, type="run", number=1, command="true", release_version=1, one_off=True, by=alice)
    dyno.env = {"TOKEN": PLAIN}
    dyno.save()
    var = StageVar(stage=Stage.objects.get(name="production"), key="TOKEN", set_by=alice)
    var.value = PLAIN
    var.save()
    token = accounts.create_token(alice, "laptop", by=alice)[1]
    invited = invite(team, "new@example.com", "member", by=alice)[1]
    link = accounts.create_sign_in_link(bob)
    source = make_source(app)
    Source.objects.filter(pk=source.pk).update(put_digest="put" + "d" * 40, get_digest="get" + "d" * 40)
    create_build(app, source, by=alice)
    lease = uuid.uuid4()
    Release.objects.filter(status="pending").update(lease_token=lease)
    Promotion.objects.create(pipeline=shop, source=app, release=Release.objects.first(), by=alice)
    addon = make_addon(app)
    Authenticator.objects.create(user=alice, type="totp", data={"secret": PLAIN})
    browser = Client()
    browser.force_login(alice)
    browser.get("/")
    return {
        PLAIN,
        token,
        invited,
        link,
        secrets.digest(token),
        str(lease),
        lease.hex,
        browser.session.session_key,
        "put" + "d" * 40,
        "get" + "d" * 40,
        *addon.config[""].values(),
        addon.sealed_secret,
        addon.sealed_config,
        *User.objects.values_list("password", flat=True),
        *ApiToken.objects.values_list("digest", flat=True),
        *Invitation.objects.values_list("digest", flat=True),
        *SignInLink.objects.values_list("digest", flat=True),
        *Release.objects.values_list("sealed_config", flat=True),
        *Dyno.objects.exclude(sealed_env="").values_list("sealed_env", flat=True),
        *StageVar.objects.values_list("sealed", flat=True),
        *app.config_vars.values_list("sealed", flat=True),
    }


def addresses():
    yield from (
        "/admin/",
        "/admin/figures/",
        "/admin/audit/",
        "/admin/search/?page=1&s=shop",
        "/admin/search/?s=alice",
    )
    for model, site in admin.site._registry.items():
        yield list_of(model)
        yield f"{list_of(model)}?q=token"
        for row in model._default_manager.all():
            yield page_of(row)
            yield page_of(row, "history")
            for deed in site.deeds if isinstance(site, Shown) else ():
                yield f"{page_of(row).removesuffix('change/')}do/{deed.name}/"


@pytest.mark.promise("I-37")
def test_no_page_of_the_operators_site_holds_a_secret(known, client):
    client.force_login(make_user("ops@example.com", is_staff=True, is_superuser=True))
    seen = 0
    for url in addresses():
        answer = client.get(url, follow=True)
        assert answer.status_code == 200, url
        seen += 1
        for secret in known:
            assert secret not in answer.text, (url, secret)
    assert seen > 100
    assert all(len(secret) > 10 for secret in known)


@pytest.mark.promise("I-37")
def test_a_search_for_a_secret_finds_nothing(known, client, rf):
    operator = make_user("ops@example.com", is_staff=True, is_superuser=True)
    client.force_login(operator)
    for secret in known - {PLAIN}:
        asked = rf.get("/", {"q": secret})
        asked.user = operator
        searched = [site for site in admin.site._registry.values() if site.get_search_fields(asked)]
        assert len(searched) > 20
        for site in searched:
            found, _ = site.get_search_results(asked, site.get_queryset(asked), secret)
            assert not found.exists(), site
        assert "Nothing here is called" in client.get("/admin/search/", {"s": secret, "page": 1}).text
