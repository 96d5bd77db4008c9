"""A client of the API, as scripts are: a token and the media type."""

import json
from typing import Any

import pytest
from django.test import Client

from accounts.actions import create_token
from api.http import allowance
from tests.api.contract import check

ACCEPT = "application/vnd.heroku+json; version=3"


class ApiClient:
    """Calls the API with one user's token."""

    def __init__(self, user: Any) -> None:
        self.token = create_token(user, by=user)[1]
        self.client = Client()

    def __call__(self, method: str, path: str, body: Any = None, **headers: str):
        send = {"Authorization": f"Bearer {self.token}", "Accept": ACCEPT, **headers}
        data = json.dumps(body) if body is not None else ""
        answer = self.client.generic(method, path, data, content_type="application/json", headers=send)
        if answer.headers.get("Content-Type", "").startswith("application/json") and answer.content:
            check(method, path, answer.status_code, answer.json())
        return answer

    def get(self, path: str, **headers: str):
        return self("GET", path, **headers)

    def put(self, path: str, body: Any = None, **headers: str):
        return self("PUT", path, body, **headers)

    def post(self, path: str, body: Any = None, **headers: str):
        return self("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str):
        return self("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str):
        return self("DELETE", path, **headers)


@pytest.fixture
def api(alice):
    return ApiClient(alice)


@pytest.fixture
def as_bob(bob):
    return ApiClient(bob)


@pytest.fixture
def as_vera(vera):
    return ApiClient(vera)


@pytest.fixture
def as_charlie(charlie):
    return ApiClient(charlie)


@pytest.fixture(autouse=True)
def full_allowance():
    allowance._buckets.clear()
