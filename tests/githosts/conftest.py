"""A pipeline whose code is at a host, and hooks as that host sends them."""

import hashlib
import hmac
import json
import uuid

import pytest

from forge import actions
from forge.models import Repository
from tests.githosts.apis import HOSTS

SECRET = "s3cret"
SIGNED = {"github": "X-Hub-Signature-256", "gitea": "X-Gitea-Signature", "bitbucket": "X-Hub-Signature"}
EVENT = {
    "github": "X-GitHub-Event",
    "gitlab": "X-Gitlab-Event",
    "gitea": "X-Gitea-Event",
    "bitbucket": "X-Event-Key",
}
DELIVERY = {
    "github": "X-GitHub-Delivery",
    "gitlab": "X-Gitlab-Event-UUID",
    "gitea": "X-Gitea-Delivery",
    "bitbucket": "X-Request-UUID",
}


def connected(pipeline, by, host="github", **values):
    """A repository of `pipeline` as `actions.connect` leaves it."""
    row = Repository(
        pipeline=pipeline,
        host=host,
        url="https://git.example.com/acme/shop.git",
        full_name="acme/shop",
        by=by,
        **values,
    )
    row.secret = SECRET
    row.save()
    return row


@pytest.fixture
def repository(shop, alice):
    return connected(shop, alice)


@pytest.fixture
def host_of(forge):
    """The API of a kind of host, at the git server on loopback."""

    def make(kind):
        forge.api = HOSTS[kind]("token-1")
        return forge.api

    return make


def signature(host, secret, body):
    signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return signed if host == "gitea" else f"sha256={signed}"


@pytest.fixture
def deliver(client):
    """Send a hook as its host would; `secret`, `delivery` and headers can be wrong."""

    def send(repository, event, payload, *, secret=SECRET, delivery=None, headers=None):
        host = str(repository.host)
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        proof = (
            {"X-Gitlab-Token": secret} if host == "gitlab" else {SIGNED[host]: signature(host, secret, body)}
        )
        told = {EVENT[host]: event, DELIVERY[host]: delivery or str(uuid.uuid4()), **proof}
        return client.post(
            f"/hooks/{repository.pk}/",
            data=body,
            content_type="application/json",
            headers=told if headers is None else headers,
        )

    return send


@pytest.fixture
def connect(forge, shop, alice):
    """Connect the pipeline to a repository of the git server on loopback."""

    def make(**values):
        url = forge.repository() if not (forge.folder / "shop.git").exists() else f"{forge.url}/shop.git"
        return actions.connect(shop, url, by=alice, **values)

    return make
