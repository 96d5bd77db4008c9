"""Calls each endpoint as its own description says, with values that its description allows and that make no sense:
no answer is a 5xx, has a status that is not described, or another shape than described."""

import random

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.actions import create_token
from api.openapi import document
from releases.models import Release
from tests.factories import make_app, make_pipeline, stage

PER_OPERATION = 8
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SOMETIMES = 0.7  # how often a name in a path is one of something that is there


class Undo(Exception):
    """Ends the transaction of a call."""


@pytest.fixture(autouse=True)
def one_connection():
    """A request does not close the connection that the test's transaction is on."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def known(alice, bob, team, settings):
    """What is there, by the name that it has in paths, and a token to ask with."""
    settings.API_CALLS_PER_HOUR = 1_000_000
    pipeline = make_pipeline("line", owner=team)
    app = make_app("shop", owner=team, stage=stage(pipeline, "staging"), released=True)
    make_app("shop-live", owner=team, stage=stage(pipeline, "production"), released=True)
    release = Release.objects.get(app=app, current=True)
    names = {
        "app": ["shop", str(app.pk)], "team": ["acme"], "type": ["web"], "member": ["bob@example.com"], "member_or_team": ["acme"],
        "ref": ["shop", "line", "acme", "v1", "web.1", "web", "~", "alice@example.com", str(release.pk), str(app.coupling.pk)],
    }  # fmt: skip
    return names, create_token(alice, by=alice)[1]


@pytest.mark.parametrize("tag", [tag["name"] for tag in document()["tags"]])
def test_the_answers_are_as_described(tag, known):
    schema = schemathesis.openapi.from_wsgi("/docs/api/openapi.json", get_wsgi_application())
    for found in schema.include(tag=tag).get_all_operations():
        _try(found.ok(), *known)


def _try(operation, names, token):
    @examples(
        max_examples=PER_OPERATION, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def call(case):
        chance = random.Random(repr(case.path_parameters))
        for name in case.path_parameters or {}:
            if name in names and chance.random() < SOMETIMES:
                case.path_parameters[name] = chance.choice(names[name])
        if isinstance(case.body, dict):  # names that nobody knows are ignored, and tell nothing
            case.body = {name: value for name, value in case.body.items() if name.isidentifier()}
        headers = {"Authorization": f"Bearer {token}"}
        try:
            with transaction.atomic():
                case.call_and_validate(headers=headers, checks=CHECKS)
                raise Undo
        except Undo:
            pass

    call()
