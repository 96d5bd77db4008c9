"""Automatic deploys on the Deploy page: switched on and off, what came of them, and a branch deployed now."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from forge.events import Pushed, tell
from forge.models import AutoDeploy
from releases.models import Build
from tests.githosts.conftest import connected

DEPLOY = "/apps/shop-staging/deploy/"
ON, OFF, NOW = (
    f"/apps/shop-staging/{end}/" for end in ("auto-deploy", "auto-deploy/removal", "builds/of-branch")
)


@pytest.fixture
def repository(shop, alice):
    return connected(shop, alice, heads={"main": "a" * 40, "ü/<b>": "b" * 40})


def test_a_branch_is_followed_until_it_is_not(client, repository, shop, bob):
    client.force_login(bob)
    assertContains(client.get(DEPLOY), "Enable automatic deploys")
    assertRedirects(client.post(ON, {"branch": "main", "wait_for_ci": "on"}), DEPLOY, status_code=303)
    row = AutoDeploy.objects.get()
    assert (row.branch, row.wait_for_ci, row.by) == ("main", True, bob)
    tell(Pushed(shop, "main", "c" * 40))
    answer = client.get(DEPLOY)
    assertContains(answer, "waits for the tests of ccccccc")
    assertContains(answer, "once their tests have passed")
    assertNotContains(answer, "Enable automatic deploys")
    client.post(OFF)
    assert not AutoDeploy.objects.exists()


@pytest.mark.parametrize(
    "sent, field", [({"branch": "none"}, "branch"), ({"branch": "main", "path": "../x"}, "path")]
)
def test_what_is_wrong_stands_beside_its_field_with_what_was_typed(client, repository, alice, sent, field):
    client.force_login(alice)
    answer = client.post(ON, sent)
    assertContains(answer, f'value="{sent[field]}"', status_code=422)
    assertContains(answer, 'aria-invalid="true"', status_code=422)
    assert not AutoDeploy.objects.exists()


def test_a_branch_is_deployed_now(client, repository, alice):
    client.force_login(alice)
    answer = client.post(NOW, {"branch": "main"})
    build = Build.objects.get()
    assertRedirects(answer, f"/apps/shop-staging/builds/{build.pk}/", status_code=303)
    assert (build.source.repository, build.source.ref) == (repository.url, "main")


@pytest.mark.parametrize("branch", ["", "--upload-pack=touch x", "a b"])
def test_what_can_be_no_branch_is_refused(client, repository, alice, branch):
    client.force_login(alice)
    answer = client.post(NOW, {"branch": branch})
    assert answer.status_code in (303, 422) and not Build.objects.exclude(source__ref="HEAD").exists()


def test_who_may_not_deploy_sees_what_is_on_but_no_names_of_branches(client, repository, alice, vera):
    client.force_login(alice)
    client.post(ON, {"branch": "main"})
    client.force_login(vera)
    answer = client.get(DEPLOY)
    assertContains(answer, "Automatic deploys")
    assertNotContains(answer, "ü/")
    for path in (ON, OFF, NOW):
        assert client.post(path, {"branch": "main"}).status_code == 403
    assert AutoDeploy.objects.exists()


def test_hostile_names_of_branches_are_only_text(client, repository, alice):
    client.force_login(alice)
    assertContains(client.get(DEPLOY), "ü/&lt;b&gt;")


def test_an_app_without_code_to_follow_offers_nothing(client, alice, shop):
    client.force_login(alice)
    assertNotContains(client.get(DEPLOY), "Automatic deploys")


def test_the_card_says_which_branch_deploys_by_itself(client, repository, alice):
    client.force_login(alice)
    assertNotContains(client.get("/pipelines/shop/"), "deploys by itself")
    client.post(ON, {"branch": "main"})
    for path in ("/pipelines/shop/", "/apps/shop-staging/card/"):
        assertContains(
            client.get(path), '<bdi>main</bdi><span class="sr"> deploys by itself</span>', html=False
        )
