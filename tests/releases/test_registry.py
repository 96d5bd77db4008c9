"""`docker login`, `push` and `pull`: who may, and what goes through to the registry behind the platform."""

import base64
import http.client
import json
from urllib.parse import urlsplit

import pytest

from accounts import actions as account_actions
from apps import actions as app_actions
from apps.models import App
from core.models import Event
from releases.registry import paths
from tests.images import MANIFEST, NAME, PASSWORD, Registry, digest_of, make_image
from tests.ports import free_port

LAYER = make_image().layer


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    registry = Registry(f"127.0.0.1:{free_port()}", tmp_path_factory.mktemp("registry"), private=True)
    yield registry
    registry.stop()


@pytest.fixture
def registry(images, server, settings):
    settings.ENGINE_URL = "swarm+unix:///nowhere"
    settings.REGISTRY, settings.REGISTRY_URL = images.address, f"http://{images.address}"
    settings.REGISTRY_AUTH = f"{NAME}:{PASSWORD}"
    return images


class Docker:
    """Speaks the registry's protocol as Docker does."""

    def __init__(self, server, user, **token):
        self.place = urlsplit(server.url)
        self.token = account_actions.create_token(user, by=user, **token)[1] if user else ""
        self.answers = []

    def __call__(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.place.netloc, timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent["Authorization"] = "Basic " + base64.b64encode(f"_:{self.token}".encode()).decode()
        connection.request(method, path, body, sent, encode_chunked=not isinstance(body, bytes | None))
        answer = connection.getresponse()
        answer.data = answer.read()
        connection.close()
        self.answers.append(answer)
        return answer

    def code(self, *call, **headers):
        answer = self(*call, **headers)
        return answer.status, json.loads(answer.data)["errors"][0]["code"]

    def upload(self, name, data):
        begun = self("POST", f"/v2/{name}/blobs/uploads/")
        assert begun.status == 202, begun.data
        sent = self(
            "PATCH",
            begun.headers["Location"],
            iter([data[:700], data[700:]]),
            Transfer_Encoding="chunked",
            Content_Type="application/octet-stream",
        )
        assert sent.status == 202, sent.data
        last = sent.headers["Location"]
        ended = self("PUT", f"{last}{'&' if '?' in last else '?'}digest={digest_of(data)}")
        assert ended.status == 201, ended.data
        return ended

    def push(self, name, image, tag="latest"):
        self.upload(name, image.layer)
        self.upload(name, image.config)
        return self("PUT", f"/v2/{name}/manifests/{tag}", image.manifest, Content_Type=MANIFEST)


@pytest.fixture
def docker(server, registry, app, alice):
    return Docker(server, alice)


def test_who_signs_in_is_known(server, docker):
    answer = Docker(server, None)("GET", "/v2/")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="Slipway"')
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    wrong = Docker(server, None)
    wrong.token = "nonsense"
    assert wrong.code("GET", "/v2/") == (401, "UNAUTHORIZED")
    assert docker("GET", "/v2/").status == 200


def test_an_image_goes_in_and_comes_out(docker, app, alice):
    image = make_image()
    pushed = docker.push("shop/web", image)
    digest = digest_of(image.manifest)
    assert (pushed.status, pushed.headers["Docker-Content-Digest"]) == (201, digest)
    assert pushed.headers["Location"] == f"/v2/shop/web/manifests/{digest}"
    seen = docker("HEAD", "/v2/shop/web/manifests/latest", Accept=MANIFEST)
    assert (seen.status, seen.headers["Content-Length"]) == (200, str(len(image.manifest)))
    found = docker("GET", "/v2/shop/web/manifests/latest", Accept=MANIFEST)
    assert (found.data, found.headers["Content-Type"]) == (image.manifest, MANIFEST)
    blob = f"/v2/shop/web/blobs/{digest_of(image.layer)}"
    assert docker("GET", blob).data == image.layer
    part = docker("GET", blob, Range="bytes=100-199")
    assert (part.status, part.data) == (206, image.layer[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(image.layer)}"
    assert json.loads(docker("GET", "/v2/shop/web/tags/list").data) == {
        "name": "shop/web",
        "tags": ["latest"],
    }
    event = Event.objects.get(verb="pushed an image to")
    assert (event.app_id, event.actor, event.through) == (app.pk, alice.email, "api")
    assert event.details == {"type": "web", "digest": digest}


def test_what_is_behind_does_not_show(docker, app):
    docker.push("shop/web", make_image())
    assert docker.code("GET", "/v2/shop/web/manifests/other") == (404, "MANIFEST_UNKNOWN")
    said = json.loads(docker.answers[-1].data)["message"]  # which the Heroku CLI shows
    assert "Push it first: heroku container:push web -a shop" in said
    assert docker.code("GET", f"/v2/shop/web/blobs/sha256:{'0' * 64}") == (404, "BLOB_UNKNOWN")
    docker("GET", "/v2/shop/worker/tags/list")
    behind = paths.repository(app.pk, "web").rpartition("/")[0]
    for answer in docker.answers:
        said = str(answer.headers).encode() + answer.data
        assert behind.encode() not in said
        assert PASSWORD.encode() not in said


def test_a_layer_larger_than_memory_holds_goes_to_a_file(docker):
    assert docker.upload("shop/web", bytes(range(256)) * 5000).status == 201


def test_an_upload_can_be_asked_for_and_given_up(docker):
    place = docker("POST", "/v2/shop/web/blobs/uploads/").headers["Location"]
    assert docker("GET", place).status == 204
    assert docker("DELETE", place).status == 204
    assert docker.code("GET", place) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_wrong_digest_is_turned_down(docker):
    place = docker("POST", "/v2/shop/web/blobs/uploads/").headers["Location"]
    wrong = f"{place}{'&' if '?' in place else '?'}digest=sha256:{'0' * 64}"
    assert docker.code("PUT", wrong, LAYER) == (400, "DIGEST_INVALID")


def test_images_follow_an_app_that_is_renamed(docker, app, alice):
    docker.push("shop/web", make_image())
    app_actions.rename_app(app, "store", by=alice)
    assert docker("GET", "/v2/store/web/manifests/latest", Accept=MANIFEST).status == 200
    app_actions.create_app("shop", owner=alice, by=alice)
    assert docker("GET", "/v2/shop/web/manifests/latest", Accept=MANIFEST).status == 404


@pytest.mark.promise("I-28")
def test_a_foreign_app_looks_like_one_that_is_not_there(server, docker, charlie):
    docker.push("shop/web", make_image())
    stranger = Docker(server, charlie)
    for call in (("GET", "manifests/latest"), ("POST", "blobs/uploads/"), ("GET", "tags/list")):
        foreign, absent = (stranger(call[0], f"/v2/{app}/web/{call[1]}") for app in ("shop", "nothing"))
        assert (foreign.status, foreign.data) == (404, absent.data)
        assert json.loads(foreign.data)["errors"][0]["code"] == "NAME_UNKNOWN"


def test_images_take_the_right_to_deploy_like_code_in_git(server, registry, shop, bob, vera):
    member, viewer = Docker(server, bob), Docker(server, vera)
    name = f"{App.objects.filter(team__isnull=False).first().name}/web"
    assert member.push(name, make_image()).status == 201
    assert member("GET", f"/v2/{name}/manifests/latest", Accept=MANIFEST).status == 200
    assert viewer.code("GET", f"/v2/{name}/manifests/latest", Accept=MANIFEST) == (403, "DENIED")
    assert viewer.code("POST", f"/v2/{name}/blobs/uploads/") == (403, "DENIED")
    assert viewer.code("PUT", f"/v2/{name}/manifests/latest", b"{}") == (403, "DENIED")


def test_a_token_that_may_read_can_not_push(server, registry, app, alice):
    reader = Docker(server, alice, scope=["read"])
    assert reader("GET", "/v2/shop/web/tags/list").status == 404
    assert reader.code("POST", "/v2/shop/web/blobs/uploads/") == (403, "DENIED")


def test_a_large_body_is_taken_from_who_may_send_it_only(server, docker, charlie):
    stranger = Docker(server, charlie)
    place = docker("POST", "/v2/shop/web/blobs/uploads/").headers["Location"]
    connection = http.client.HTTPConnection(stranger.place.netloc, timeout=60)
    auth = base64.b64encode(f"_:{stranger.token}".encode()).decode()
    connection.putrequest("PATCH", place)
    connection.putheader("Authorization", f"Basic {auth}")
    connection.putheader("Content-Length", str(100 * 1024**2))
    connection.endheaders()
    assert connection.getresponse().status == 403  # though not a byte of the body has been sent
    connection.close()


def test_names_that_are_none_are_turned_down(docker):
    for path in (
        "shop/manifests/latest",
        "shop/web/extra/manifests/latest",
        "shop/Web/manifests/latest",
        "shop/..%2Fother/manifests/latest",
        "shop/web/../other/manifests/latest",
        "SHOP/web/tags/list",
        "_catalog",
        "shop/web/blobs/sha256:0",
        "shop/web/manifests/latest%0d%0aX-Evil:%201",
        "shop/web/manifests/latest%3Fa",
    ):
        status, code = docker.code("GET", f"/v2/{path}")
        assert (status, code) in ((400, "NAME_INVALID"), (405, "UNSUPPORTED")), path


def test_what_others_need_can_not_be_deleted(docker):
    assert docker.code("DELETE", f"/v2/shop/web/manifests/sha256:{'0' * 64}") == (405, "UNSUPPORTED")


def test_a_blob_is_taken_over_from_an_app_that_one_may_deploy(server, docker, alice, charlie):
    app_actions.create_app("other", owner=alice, by=alice)
    app_actions.create_app("foreign", owner=charlie, by=charlie)
    docker.upload("other/web", LAYER)
    secret = make_image("theirs").layer
    Docker(server, charlie).upload("foreign/web", secret)
    uploads = "/v2/shop/web/blobs/uploads/"
    taken = docker("POST", f"{uploads}?mount={digest_of(LAYER)}&from=other/web")
    assert (taken.status, taken.headers["Location"]) == (201, f"/v2/shop/web/blobs/{digest_of(LAYER)}")
    for source in ("foreign/web", "nothing/web", "../../etc", "shop"):
        assert docker("POST", f"{uploads}?mount={digest_of(secret)}&from={source}").status == 202
    assert docker("HEAD", f"/v2/shop/web/blobs/{digest_of(secret)}").status == 404


def test_without_a_registry_it_says_so(server, settings, app, alice):
    settings.ENGINE_URL, settings.REGISTRY = "swarm+unix:///nowhere", ""
    assert Docker(server, alice).code("GET", "/v2/") == (404, "UNSUPPORTED")
    assert Docker(server, alice).code("GET", "/v2/shop/web/tags/list") == (404, "UNSUPPORTED")


def test_a_registry_that_is_away_is_no_bug_of_ours(docker, settings):
    settings.REGISTRY_URL = f"http://127.0.0.1:{free_port()}"
    assert docker.code("GET", "/v2/shop/web/tags/list") == (503, "UNAVAILABLE")
