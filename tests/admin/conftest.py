"""An operator at the operators' site."""

import pytest
from django.core.cache import cache
from django.urls import reverse

from tests.factories import make_user


@pytest.fixture
def operator(client, db):
    cache.clear()
    user = make_user("ops@example.com", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


def page_of(row, page="change"):
    """The address of a row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[row.pk])


def list_of(model):
    """The address of a table's page."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def deed_of(row, name):
    """The address of what can be done to a row."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_deed", args=[row.pk, name])


def do(client, row, name):
    """Do it, after the question."""
    return client.post(deed_of(row, name), {"confirmed": "yes"}, follow=True)


def do_to_many(client, name, *rows, confirmed=True):
    """Do it to rows chosen in a list, after the question."""
    form = {"action": name, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(list_of(rows[0]), {**form, **({"confirmed": "yes"} if confirmed else {})}, follow=True)
