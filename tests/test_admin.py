"""The operators' site."""

import pytest
from django.apps import apps as registry
from django.contrib import admin
from django.urls import reverse

from accounts import actions as accounts
from accounts.models import ApiToken
from core.models import Event
from releases import actions
from tests.factories import make_app, make_source, make_user


@pytest.fixture
def operator(client, db):
    user = make_user("ops@example.com", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


def test_every_table_of_ours_can_be_searched(operator, client, shop):
    actions.set_config(shop.couplings.first().app, {"SECRET_WORD": "xyzzy-plugh"}, by=operator)
    for model, site in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        answer = client.get(reverse(name), {"q": "shop"})
        assert answer.status_code == 200, name
        assert site.search_fields, name
        assert "xyzzy" not in answer.content.decode()
        for row in model._default_manager.all()[:2]:
            detail = client.get(reverse(name.replace("changelist", "change"), args=[row.pk]))
            assert detail.status_code == 200, name
            assert "xyzzy" not in detail.content.decode()


def test_nothing_can_be_added_changed_or_deleted_by_a_form(operator, client, shop):
    for model in admin.site._registry:
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert client.post(reverse(f"{base}_add"), {}).status_code == 403
        for row in model._default_manager.all()[:1]:
            assert client.post(reverse(f"{base}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
            assert client.post(reverse(f"{base}_change", args=[row.pk]), {}).status_code == 403


def act(client, model, action, *rows):
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return client.post(
        url, {"action": action, "_selected_action": [str(row.pk) for row in rows]}, follow=True
    )


def test_an_operator_restarts_cancels_revokes_and_suspends(operator, client, alice):
    app = make_app("shop", owner=alice, released=True)
    build = actions.create_build(app, make_source(app), by=alice)
    token, secret = accounts.create_token(alice, by=alice)
    act(client, type(app), "suspend", app)
    act(client, type(build), "cancel", build)
    act(client, type(token), "revoke", token)
    act(client, type(app), "restart_all_dynos", app)
    app.refresh_from_db()
    build.refresh_from_db()
    assert app.suspended_at
    assert build.cancel_asked
    assert ApiToken.objects.presented(secret) is None
    assert set(Event.objects.filter(by=operator, through="admin").values_list("verb", flat=True)) == {
        "suspended",
        "cancelled",
        "revoked",
        "restarted",
    }


def test_suspending_a_person_ends_their_session(operator, client, alice, shop):
    from django.test import Client

    hers = Client()
    hers.force_login(alice)
    assert hers.get("/").status_code == 200
    act(client, type(alice), "suspend", alice)
    assert hers.get("/").status_code == 302


def test_strangers_sign_in_and_others_find_nothing(client, alice):
    answer = client.get("/admin/", follow=True)
    assert answer.request["PATH_INFO"] == reverse("sign-in")
    client.force_login(alice)
    assert client.get("/admin/", follow=True).status_code == 404


def test_every_model_of_ours_is_there():
    ours = {
        m for m in registry.get_models() if m._meta.app_label in ("apps", "releases", "pipelines", "core")
    }
    through_parents = {"collaborator", "formation", "stage", "coupling", "promotiontarget"}
    assert {m._meta.model_name for m in ours} - {
        m._meta.model_name for m in admin.site._registry
    } == through_parents
