"""A token does what its scopes say, and no more."""

import pytest

from accounts.models import ApiToken
from accounts.scopes import SCOPES
from api.scopes import needed
from api.urls import api as described
from tests.api.conftest import ApiClient
from tests.factories import make_app

CALLS = {
    ("GET", "/account"): set(SCOPES),
    ("GET", "/apps"): set(SCOPES) - {"identity"},
    ("GET", "/apps/shop/releases"): set(SCOPES) - {"identity"},
    ("POST", "/filters/apps"): set(SCOPES) - {"identity"},
    ("PATCH", "/apps/shop"): {"write", "write-protected", "global"},
    ("DELETE", "/apps/shop/dynos"): {"write", "write-protected", "global"},
    ("GET", "/apps/shop/config-vars"): {"read-protected", "write-protected", "global"},
    ("GET", "/apps/shop/releases/2/config-vars"): {"read-protected", "write-protected", "global"},
    ("PATCH", "/apps/shop/config-vars"): {"write-protected", "global"},
    ("POST", "/apps/shop/dynos"): {"write-protected", "global"},
    ("POST", "/apps/shop/collaborators"): {"write-protected", "global"},
    ("PATCH", "/account"): {"global"},
    ("GET", "/oauth/authorizations"): {"global"},
    ("POST", "/oauth/authorizations"): {"global"},
    ("POST", "/account/keys"): {"global"},
}


def scoped(user, scope):
    client = ApiClient(user)
    ApiToken.objects.filter(user=user).update(scope=[scope])
    return client


@pytest.mark.promise("I-32")
@pytest.mark.parametrize("scope", SCOPES)
def test_each_scope_opens_what_it_says(alice, scope):
    make_app("shop", owner=alice, released=True)
    client = scoped(alice, scope)
    for (method, path), allowed in CALLS.items():
        answer = client(method, path, {} if method not in ("GET", "DELETE") else None)
        refused = answer.status_code == 403 and "scope" in answer.json()["message"]
        assert refused is (scope not in allowed), (method, path, answer.content)


def test_every_call_is_sorted():
    """New families of calls need `global` until api.scopes says otherwise: this tells which do."""
    paths = {
        path.split("/")[1]
        for _, router in described._routers
        for path, view in router.path_operations.items()
        if all(
            needed(method, path) == "global" for operation in view.operations for method in operation.methods
        )
    }
    assert needed("GET", "/something/new") == "global"
    assert paths <= {"oauth", "account", "_fixed"}


def test_a_token_is_made_with_scopes(api):
    made = api.post("/oauth/authorizations", {"scope": ["write", "identity"], "description": "ci"}).json()
    assert made["scope"] == ["identity", "write"]
    assert api.get(f"/oauth/authorizations/{made['id']}").json()["scope"] == ["identity", "write"]
    assert "read-protected" in api.post("/oauth/authorizations", {"scope": ["all"]}).json()["message"]
