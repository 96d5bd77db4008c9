"""The API's own description says what is served, no more and no less."""

import json
import re

import pytest
from django.test import Client

from api.openapi import TAGS, document, operations
from api.reference import groups
from api.urls import api as served


def routes():
    return {
        (method, re.sub(r"\{\w+:", "{", path))  # a converter is ours to know
        for _, router in served._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    }


def test_every_route_is_in_the_document_and_the_other_way_round():
    assert {(method, path) for path, method, _ in operations(document())} == routes()


def test_every_operation_is_described():
    for path, method, operation in operations(document()):
        where = f"{method} {path}"
        assert operation["description"], where
        statuses = set(operation["responses"])
        assert statuses & {"200", "201", "202", "204"} and {"401", "403", "406", "429"} <= statuses, where
        assert ("304" in statuses) == (method == "GET"), where
        assert ("404" in statuses) or "{" not in path, where
        assert set(operation["tags"]) <= set(TAGS), (
            f"{where}: say what {operation['tags']} is about in api/openapi.py"
        )
        named = {part["name"] for part in operation["parameters"] if part["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), where
    ids = [operation["operationId"] for _, _, operation in operations(document())]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere():
    for reference in set(re.findall(r'"#/([^"]+)"', json.dumps(document()))):
        found = document()
        for part in reference.split("/"):
            found = found[part]
        assert found, reference


def test_anybody_can_read_the_document(db, api):
    for answer in (Client().get("/docs/api/openapi.json"), api.client.get("/docs/api/openapi.json"),
                   api.client.get("/docs/api/openapi.json", headers={"Authorization": f"Bearer {api.token}"})):  # fmt: skip
        assert answer.status_code == 200
        assert answer.json()["openapi"].startswith("3.")
    assert api.token not in Client().get("/docs/api/openapi.json").text


def test_a_page_for_each_tag_shows_its_endpoints(db):
    client = Client()
    seen = set()
    overview = client.get("/docs/api/").text
    for group in groups():
        page = client.get(f"/docs/api/{group.slug}/").text
        for endpoint in group.endpoints:
            seen.add((endpoint.method, endpoint.path))
            assert f'id="{endpoint.anchor}"' in page
            assert f"{group.slug}/#{endpoint.anchor}" in overview
            assert f"http://testserver{endpoint.path}" in page
    assert seen == routes()
    assert client.get("/docs/api/nothing/").status_code == 404


def test_who_is_signed_in_has_the_way_back(alice, client):
    assert "Sign in" in client.get("/docs/api/").text
    client.force_login(alice)
    page = client.get("/docs/api/apps/").text
    assert 'aria-label="Breadcrumb"' in page and alice.email in page


@pytest.mark.parametrize("path", ["/docs/api/", "/docs/api/apps/"])
def test_no_script_is_needed(db, path):
    answer = Client().get(path)
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", answer.text)
