"""Releases of images that were pushed: what `heroku container:release` and `container:rm` ask for."""

import io

import pytest

from apps import actions as app_actions
from apps.models import App, Formation
from releases.models import Release
from releases.registry import paths, upstream
from tests.factories import make_release, make_slug
from tests.images import MANIFEST, Registry, digest_of, make_image
from tests.ports import free_port

DOCKER = {"Accept": "application/vnd.heroku+json; version=3.docker-releases"}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    registry = Registry(f"127.0.0.1:{free_port()}", tmp_path_factory.mktemp("registry"))
    yield registry
    registry.stop()


@pytest.fixture
def app(images, settings, alice):
    settings.ENGINE_URL = "swarm+unix:///nowhere"
    settings.REGISTRY, settings.REGISTRY_URL = images.address, f"http://{images.address}"
    app = app_actions.create_app("shop", owner=alice, by=alice)
    App.objects.filter(pk=app.pk).update(stack="container")
    app.refresh_from_db()
    return app


def send(method, path, data=b"", **options):
    answer = upstream.ask(method, path, body=upstream.Body(io.BytesIO(data), len(data)), **options)
    answer.close()
    assert answer.status in (201, 202), answer.status
    return answer


def push(app, type, image=None):
    """Put an image where the front would."""
    image = image or make_image(type)
    repository = paths.repository(app.pk, type)
    for blob in (image.layer, image.config):
        place = send("POST", f"{repository}/blobs/uploads/").headers["Location"]
        path, _, query = place.partition("/v2/")[2].partition("?")
        state = query.partition("_state=")[2].replace("%3D", "=")
        send("PUT", path, blob, query={"_state": state, "digest": digest_of(blob)})
    kind = {"Content-Type": MANIFEST}
    send("PUT", f"{repository}/manifests/latest", image.manifest, headers=kind)
    return image


def reference(app, type, image):
    repository = paths.repository(app.pk, type)
    return f"{upstream.settings.REGISTRY}/{repository}@{digest_of(image.manifest)}"


def release(api, *updates):
    body = {"updates": [{"type": type, "docker_image": id} for type, id in updates]}
    return api.patch("/apps/shop/formation", body, **DOCKER)


def test_a_pushed_image_is_released(api, app):
    image = push(app, "web")
    assert (release(api, ("web", image.id)).status_code) == 200
    made = Release.objects.get(app=app, kind="deploy")
    assert made.description == f"Deployed web ({image.id[7:19]})"
    assert (made.status, made.process_types, made.slug.stack) == ("pending", {"web": ""}, "container")
    assert made.slug.image_of("web") == reference(app, "web", image)
    assert made.slug.bytes == len(image.layer) + len(image.config)
    newest = api.get("/apps/shop/releases", Range="version ..; max=1, order=desc").json()[0]
    assert (newest["id"], newest["status"]) == (str(made.pk), "pending")


def test_other_process_types_keep_their_images(api, app):
    web, worker, phase = push(app, "web"), push(app, "worker"), push(app, "release")
    release(api, ("web", web.id), ("worker", worker.id))
    release(api, ("release", phase.id))
    newer = push(app, "worker", make_image("newer"))
    assert release(api, ("worker", digest_of(newer.manifest))).status_code == 200
    made = Release.objects.filter(app=app).first()
    assert made.process_types == {"web": "", "worker": "", "release": "/bin/sh -c ./serve"}
    assert made.release_command == "/bin/sh -c ./serve"
    expected = {"web": web, "worker": newer, "release": phase}
    assert {type: made.slug.image_of(type) for type in expected} == {
        type: reference(app, type, image) for type, image in expected.items()
    }


def test_a_process_type_can_be_taken_away(api, app):
    ids = [(type, push(app, type).id) for type in ("web", "worker", "release")]
    release(api, *ids)
    Formation.objects.create(app=app, type="worker")
    assert api.patch("/apps/shop/formation/worker", {"docker_image": None}, **DOCKER).status_code == 200
    assert api.patch("/apps/shop/formation/release", {"docker_image": None}, **DOCKER).status_code == 200
    made = Release.objects.filter(app=app).first()
    assert (made.process_types, made.description) == ({"web": ""}, "Removed release")
    Formation.objects.create(app=app, type="web")
    last = api.patch("/apps/shop/formation/web", {"docker_image": None}, **DOCKER)
    assert (last.status_code, "Nothing of shop would be left" in last.json()["message"]) == (422, True)
    again = release(api, ("worker", None))
    assert (again.status_code, again.json()["message"]) == (
        422,
        "shop has no process type worker. It has: web.",
    )
    assert Release.objects.filter(app=app).first() == made


def test_code_that_a_buildpack_built_gives_way(api, app, alice):
    make_release(app, by=alice, slug=make_slug(app))
    image = push(app, "worker")
    release(api, ("worker", image.id))
    slug = Release.objects.filter(app=app).first().slug
    assert (slug.process_types, slug.image) == ({"worker": ""}, reference(app, "worker", image))


def test_dynos_are_scaled_along(api, app):
    image = push(app, "web")
    Formation.objects.create(app=app, type="web", quantity=1)
    update = {"type": "web", "docker_image": image.id, "quantity": 3}
    answer = api.patch("/apps/shop/formation", {"updates": [update]}, **DOCKER)
    assert [(row["type"], row["quantity"]) for row in answer.json()] == [("web", 3)]
    assert Release.objects.filter(app=app, kind="deploy").count() == 1


def test_what_was_not_pushed_last_is_not_released(api, app):
    old = push(app, "web")
    push(app, "web", make_image("newer"))
    for type, id in (("web", old.id), ("clock", old.id), ("../web", old.id), ("web", "")):
        answer = release(api, (type, id))
        assert (answer.status_code, "docker push registry.localhost/shop/" in answer.json()["message"]) == (
            422,
            True,
        )
    assert not Release.objects.filter(app=app, kind="deploy").exists()


@pytest.mark.parametrize("cmd", [(), (5, None), ("sh", "-c", "echo \0"), ([],)])
def test_a_release_phase_needs_a_command(api, app, cmd):
    image = push(app, "release", make_image(cmd=cmd))
    answer = release(api, ("release", image.id))
    assert (answer.status_code, "Give its Dockerfile a CMD" in answer.json()["message"]) == (422, True)


def test_where_images_can_not_run(api, app, settings):
    image = push(app, "web")
    App.objects.filter(pk=app.pk).update(stack="slipway-24")
    answer = release(api, ("web", image.id))
    assert (answer.status_code, "heroku stack:set container" in answer.json()["message"]) == (422, True)
    settings.REGISTRY_URL = f"http://127.0.0.1:{free_port()}"
    assert release(api, ("web", image.id)).status_code == 503
    settings.REGISTRY = ""
    answer = release(api, ("web", image.id))
    assert (answer.status_code, "SLIPWAY_REGISTRY" in answer.json()["message"]) == (422, True)


def test_who_may_release(app, alice, bob, as_bob, as_charlie):
    image = push(app, "web")
    assert release(as_charlie, ("web", image.id)).status_code == 404
    app_actions.share(app, bob, ["view", "operate"], by=alice)
    assert release(as_bob, ("web", image.id)).status_code == 403
    app_actions.share(app, bob, ["view", "deploy"], by=alice)
    assert release(as_bob, ("web", image.id)).status_code == 200
    Formation.objects.create(app=app, type="web")
    update = {"type": "web", "docker_image": image.id, "quantity": 0}
    assert as_bob.patch("/apps/shop/formation", {"updates": [update]}, **DOCKER).status_code == 403
