"""Slugs that programs make elsewhere, as Heroku's article on it has them: described, uploaded, released."""

import hashlib
import io
import tarfile
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from accounts.models import Membership
from conductor.cleaning import RECENT, drop_slugs
from releases import slug_uploads, slugs
from releases.models import Release, Slug, SlugUpload
from tests.api.conftest import ApiClient
from tests.factories import make_app

WEB = {"process_types": {"web": "bin/web"}}


@pytest.fixture
def api(alice, settings, tmp_path):
    settings.URL = "http://localhost:8000"
    slugs.store.cache_clear()
    yield ApiClient(alice)
    slugs.store.cache_clear()


def archive(*, links=(), **files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
        for name, target in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return out.getvalue()


GOOD = archive(
    **{"./app/bin/web": "#!/bin/sh\nexec sleep 60\n"}, links=[("./app/python", "/app/.runtime/python")]
)


def put(client, slug, data):
    url = slug["blob"]["url"].removeprefix("http://localhost:8000")
    return client.put(url, data, content_type="application/octet-stream")


def test_a_slug_is_described_uploaded_and_released(api, client, alice):
    app = make_app("shop", owner=alice)
    told = {
        "commit": "60883d9e8947a57e04dc9124f25df004866a2051",
        "commit_description": "Fix",
        "stack": "heroku-24",
    }
    made = api.post("/apps/shop/slugs", {**WEB, **told, "buildpack_provided_description": "Go"})
    assert made.status_code == 201
    slug = made.json()
    assert (slug["blob"]["method"], slug["size"], slug["stack"]["name"]) == ("put", None, "slipway-24")
    early = api.post("/apps/shop/releases", {"slug": slug["id"]})
    assert (early.status_code, "blob.url" in early.json()["message"]) == (422, True)
    assert put(client, slug, GOOD).status_code == 200
    found = api.get(f"/apps/shop/slugs/{slug['id']}").json()
    assert found["size"] > 0
    assert found["buildpack_provided_description"] == "Go"
    tree = slugs.store().tree(found["checksum"].lower())
    assert (tree / "bin/web").read_text().startswith("#!/bin/sh")
    assert str((tree / "python").readlink()) == "/app/.runtime/python"
    released = api.post("/apps/shop/releases", {"slug": slug["id"]})
    assert (released.status_code, released.json()["description"]) == (201, "Deploy 60883d9")
    assert Release.objects.get(app=app).process_types == {"web": "bin/web"}


def test_an_address_takes_one_upload_within_the_hour(api, client, alice):
    make_app("shop", owner=alice)
    slug = api.post("/apps/shop/slugs", WEB).json()
    assert put(client, slug, GOOD).status_code == 200
    again = put(client, slug, GOOD)
    assert (again.status_code, "uploaded already" in again.text) == (404, True)
    late = api.post("/apps/shop/slugs", WEB).json()
    SlugUpload.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert put(client, late, GOOD).status_code == 404
    token = late["blob"]["url"].rpartition("/")[2]
    assert not slug_uploads.expects(token)
    assert token not in SlugUpload.objects.get().put_digest


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"no tar at all", "damaged"),
        (b"", "empty"),
        (archive(**{"bin/web": "x"}), "no folder app"),
        (archive(**{"app/bin/web": "x", "etc/passwd": "x"}), "beside the folder app"),
        (archive(links=[("app", "/etc")]), "no folder app"),
        (archive(**{"app/../../x": "x"}), "x"),
    ],
    ids=["no-tar", "empty", "no-app", "beside", "link", "outside"],
)
def test_what_is_no_slug_is_refused_and_can_be_sent_anew(api, client, alice, settings, data, why):
    make_app("shop", owner=alice)
    slug = api.post("/apps/shop/slugs", WEB).json()
    before = set((settings.DATA / "sources").glob("*"))
    answer = put(client, slug, data)
    assert (answer.status_code, why in answer.text) == (422, True), answer.text
    assert Slug.objects.get().is_empty
    assert set((settings.DATA / "sources").glob("*")) == before
    assert put(client, slug, GOOD).status_code == 200


def test_the_checksum_that_was_announced_has_to_be_the_archives(api, client, alice):
    make_app("shop", owner=alice)
    right = "SHA256:" + hashlib.sha256(GOOD).hexdigest()
    slug = api.post("/apps/shop/slugs", {**WEB, "checksum": right}).json()
    other = put(client, slug, archive(**{"app/x": "x"}))
    assert (other.status_code, "was announced" in other.text) == (422, True)
    assert put(client, slug, GOOD).status_code == 200


def test_an_archive_over_the_limit_is_refused(api, client, alice, settings):
    make_app("shop", owner=alice)
    slug = api.post("/apps/shop/slugs", WEB).json()
    settings.SLUG_BYTES = 10
    assert put(client, slug, GOOD).status_code == 413


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"process_types": {}}, "what to run"),
        ({"process_types": {"we b": "x"}}, "no process type"),
        ({"process_types": {"web": " "}}, "is empty"),
        ({"stack": "arch"}, "There is slipway-24"),
        ({"stack": "container"}, "A slug is no image"),
        ({"stack": "cnb"}, "A slug is no image"),
        ({"checksum": "md5:1"}, "64 hexadecimal digits"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(api, alice, change, why):
    make_app("shop", owner=alice)
    answer = api.post("/apps/shop/slugs", {**WEB, **change})
    assert (answer.status_code, why in answer.json()["message"]) == (422, True), answer.text
    assert not Slug.objects.exists()


@pytest.mark.promise("I-30")
def test_who_may_not_deploy_makes_no_slugs(shop, as_vera, as_charlie):
    assert as_charlie.post("/apps/shop-staging/slugs", WEB).status_code == 404
    assert as_vera.post("/apps/shop-staging/slugs", WEB).status_code == 403
    assert not SlugUpload.objects.exists()


@pytest.mark.promise("I-30")
def test_a_slug_of_another_app_is_released_by_who_deploys_both(shop, api, as_bob, as_vera, bob):
    slug = api.get("/apps/shop-staging/releases/1").json()["slug"]["id"]
    made = as_bob.post("/apps/shop-production/releases", {"slug": slug})
    assert (made.status_code, made.json()["slug"]["id"]) == (201, slug)
    mine = make_app("mine", owner=bob)
    assert as_bob.post("/apps/mine/releases", {"slug": slug}).status_code == 201
    mine.delete()
    make_app("veras", owner=Membership.objects.get(role="viewer").user)
    assert as_vera.post("/apps/veras/releases", {"slug": slug}).status_code == 404


def test_what_is_never_released_is_cleaned_away(api, client, alice):
    make_app("shop", owner=alice)
    put(client, api.post("/apps/shop/slugs", WEB).json(), GOOD)
    api.post("/apps/shop/slugs", WEB)
    Slug.objects.update(created_at=timezone.now() - RECENT - timedelta(minutes=1))
    drop_slugs(SimpleNamespace(slugs=slugs.store()))
    assert not Slug.objects.exists()
    assert not SlugUpload.objects.exists()
