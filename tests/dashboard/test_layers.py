"""Where config vars come from, on the pages of the app and of the pipeline; where releases of a stage come from."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from apps.models import App, ConfigVar
from core.models import Event
from flow.models import Gate, Line
from pipelines import layers, stages
from pipelines.models import PipelineVar, Stage
from releases.actions import set_config
from releases.models import Build, Release
from tests.factories import stage

CONFIG = "/pipelines/shop/config/"
VARS = "/pipelines/shop/config-vars/"
APP = "/apps/shop-staging/config/"


@pytest.fixture
def app(shop, alice):
    """An app that inherits from both, overrides one of them, and has one of its own."""
    layers.set_vars(shop, {"SHARED": "pipeline", "LEVEL": "pipeline"}, by=alice)
    layers.set_vars(stage(shop, "staging"), {"LEVEL": "stage", "MODE": "stage"}, by=alice)
    found = App.objects.get(name="shop-staging")
    set_config(found, {"MODE": "mine", "OWN": "1"}, by=alice)
    return found


def row(page, key):
    text = page.content.decode()
    start = text.index(f'id="var-{key}"')
    return text[start : text.index("</tr>", start)]


def test_the_page_says_where_each_value_comes_from(app, alice, client):
    client.force_login(alice)
    page = client.get(APP)
    assert 'href="/pipelines/shop/config/">All of shop</a>' in row(page, "SHARED")
    assert "#vars-staging" in row(page, "LEVEL")
    assert "overrides" not in row(page, "LEVEL")
    assert "overrides" in row(page, "MODE")
    assert "Alice Liddell" in row(page, "MODE")
    assert "overrides" not in row(page, "OWN")
    assert "Override LEVEL" in row(page, "LEVEL")
    assert "Remove LEVEL" not in row(page, "LEVEL")
    assert "Inherit MODE" in row(page, "MODE")
    assertNotContains(page, "mine")


def test_a_value_is_overridden_and_brought_back(app, alice, client):
    client.force_login(alice)
    assertContains(client.post(f"{APP}vars/LEVEL/edit/"), ">\nstage</textarea>")
    client.post(f"{APP}vars/", {"key": "LEVEL", "value": "debug"})
    assert ConfigVar.objects.get(app=app, key="LEVEL").layer == ""
    assert "overrides" in row(client.get(APP), "LEVEL")
    client.post(f"{APP}vars/LEVEL/removal/")
    var = ConfigVar.objects.get(app=app, key="LEVEL")
    assert (var.layer, var.value) == ("stage", "stage")
    refused = client.post(f"{APP}vars/LEVEL/removal/", headers={"HX-Request": "true"})
    assertContains(refused, "it comes from Staging", status_code=422)


def test_the_bulk_editor_shows_and_changes_the_apps_own_alone(app, alice, client):
    client.force_login(alice)
    page = client.post(f"{APP}file/values/")
    assertContains(page, "MODE=mine")
    assertNotContains(page, "SHARED")


def test_the_pipelines_config_vars_are_set_revealed_and_removed(shop, alice, client):
    client.force_login(alice)
    assertContains(client.get(CONFIG), "has no config vars of all stages yet")
    assertRedirects(client.post(VARS, {"key": "TOKEN", "value": "hunter2\r\ntwo"}), CONFIG, 303)
    page = client.get(CONFIG)
    assertContains(page, "TOKEN")
    assertNotContains(page, "hunter2")
    assertContains(client.post(f"{VARS}TOKEN/value/"), "hunter2\ntwo")
    assert Event.objects.filter(verb="revealed config of", kind="pipeline").count() == 1
    assert {var.app.name for var in ConfigVar.objects.filter(key="TOKEN", layer="pipeline")} == {
        "shop-staging",
        "shop-production",
    }
    answer = client.post(VARS, {"key": "1-BAD", "value": "hunter3"})
    assertContains(answer, "can&#x27;t be a config var", status_code=422)
    assertContains(answer, 'value="1-BAD"', status_code=422)
    assertNotContains(answer, "hunter3", status_code=422)
    client.post(f"{VARS}TOKEN/removal/")
    assert not PipelineVar.objects.exists()
    assert not ConfigVar.objects.filter(key="TOKEN").exists()
    assert client.post(f"{VARS}TOKEN/removal/").status_code == 404


def test_the_page_says_who_has_other_values(app, alice, client):
    client.force_login(alice)
    page = client.get(CONFIG).content.decode()
    line = page[page.index('<td><code class="mono">MODE') :]
    line = line[: line.index("</tr>")]
    assert "not set" in line
    assert ">Staging</a>" in line
    assert 'href="/apps/shop-staging/config/#var-MODE"' in line


def test_viewers_are_told_how_many_and_members_which(app, bob, vera, client):
    client.force_login(vera)
    page = client.get(CONFIG)
    assertContains(page, "2 config vars.")
    assertNotContains(page, "SHARED")
    client.force_login(bob)
    page = client.get(CONFIG)
    assertContains(page, "SHARED")
    assertNotContains(page, "Reveal SHARED")
    assert client.post(f"{VARS}SHARED/value/").status_code == 403


def test_names_that_are_markup_are_shown_as_text(shop, alice, client):
    client.force_login(alice)
    answer = client.post(VARS, {"key": "<script>alert(1)</script>", "value": "x"})
    assertNotContains(answer, "<script>alert(1)", status_code=422)
    assertContains(answer, "&lt;script&gt;alert(1)", status_code=422)


def whole(**changed):
    """What the form of a stage sends."""
    sent = {
        "stage": "production",
        "word": "production",
        "source": "any",
        "promoters": "deployers",
        "readers": "deployers",
        "buildpacks": "",
        "build_command": "",
        "stack": "",
        "health_path": "",
        "addons": "",
    }
    return sent | changed


def test_a_stage_says_where_releases_come_from_and_how_apps_are_built(shop, alice, client):
    client.force_login(alice)
    here = "/pipelines/shop/stages/production/"
    client.post(here, whole(source="promotion", build_command="make assets"))
    found = Stage.objects.get(pipeline=shop, name="production")
    assert (found.source, found.build_command) == ("promotion", "make assets")
    page = client.get("/pipelines/shop/settings/?open=production")
    assertContains(page, "Promotions only")
    assertContains(page, 'value="make assets"')
    answer = client.post(here, whole(build_command="x" * 501, source="own"))
    assertContains(answer, "A build command is one line", status_code=422)
    found.refresh_from_db()
    assert found.source == "promotion"
    answer = client.post(here, whole(source="nowhere"))
    assertContains(answer, "Choose one.", status_code=422)


def test_it_warns_of_ways_round_the_gates(shop, alice, client):
    client.force_login(alice)
    production = stage(shop, "production")
    url = "/pipelines/shop/settings/?open=production"
    assertNotContains(client.get(url), "Code can go round the gates")
    Gate.objects.create(line=Line.objects.create(stage=production), kind="approval")
    assertContains(client.get(url), "Code can go round the gates before Production")
    stages.set_origin(production, "promotion", by=alice)
    assertNotContains(client.get(url), "Code can go round the gates")


def test_a_deploy_by_hand_is_turned_down_on_the_page(shop, alice, client):
    stages.set_origin(stage(shop, "production"), "promotion", by=alice)
    client.force_login(alice)
    answer = client.post(
        "/apps/shop-production/builds/of-url/", {"url": "https://git.example.com/x.git", "ref": "main"}
    )
    assertContains(answer, "takes releases by promotion only, as Production says", status_code=422)
    assertContains(answer, "https://git.example.com/x.git", status_code=422)
    assert not Build.objects.exists()
    page = client.get("/apps/shop-production/deploy/")
    assertContains(page, "By promotion only")
    assertNotContains(page, "Deploy from a Git URL")
    assertContains(client.get("/apps/shop-staging/deploy/"), "Deploy from a Git URL")


def test_an_app_has_a_build_command_of_its_own(shop, alice, client):
    client.force_login(alice)
    client.post("/apps/shop-staging/build-command/", {"build_command": "npm run assets"})
    assert App.objects.get(name="shop-staging").build_command == "npm run assets"
    assertContains(client.get("/apps/shop-staging/settings/"), 'value="npm run assets"')
    answer = client.post("/apps/shop-staging/build-command/", {"build_command": "x" * 501})
    assertContains(answer, "A build command is one line", status_code=422)
    assert Release.objects.filter(app__name="shop-staging").count() == 1


@pytest.mark.parametrize(
    "path",
    [VARS, f"{VARS}SHARED/value/", f"{VARS}SHARED/removal/", "/apps/shop-staging/build-command/"],
)
def test_they_are_for_managers_and_strangers_learn_nothing(path, app, bob, vera, charlie, client):
    for user, status in ((bob, 403), (vera, 403), (charlie, 404)):
        client.force_login(user)
        assert client.post(path, {"key": "SHARED", "value": "x"}).status_code == status
        assert client.get(path).status_code == 405
    assert PipelineVar.objects.get(key="SHARED").value == "pipeline"


def test_strangers_find_no_page(app, charlie, client):
    client.force_login(charlie)
    assert client.get(CONFIG).status_code == 404
    client.logout()
    assert client.get(CONFIG).status_code == 302
