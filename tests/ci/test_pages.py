"""The pages of test runs, and of when they run."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from ci.models import CiVar, TestCase, TestRun
from ci.settings import set_vars, settings_of
from core.models import Event
from tests.ci.made import NAMES, make_cases, make_node, make_run, seed

TESTS = "/pipelines/shop/tests/"
SETTINGS = "/pipelines/shop/settings/tests/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def run(shop, alice, settings, tmp_path):
    settings.DATA = tmp_path
    return make_run(shop, by=alice, state="failed", reason="1 test failed.")


@pytest.fixture
def as_alice(alice, client):
    client.force_login(alice)
    return client


def test_the_list_shows_runs_and_how_they_go(shop, alice, as_alice, settings, tmp_path):
    settings.DATA = tmp_path
    assertContains(as_alice.get(TESTS), "No tests have run yet")
    seed(shop, by=alice)
    page = as_alice.get(TESTS)
    assertContains(page, "#1 Ask for the address once")
    assertContains(page, "2 failed")
    assertContains(page, "3 <small>of 4</small>")
    assertContains(page, '<svg class="spark"')
    assertContains(as_alice.get(TESTS, headers=HTMX), 'id="runs"')
    one = as_alice.get(TESTS, {"branch": "checkout/" + "x" * 60})
    assertContains(one, "#5")
    assertNotContains(one, "#1 ")
    assertContains(as_alice.get(TESTS, {"branch": "<script>"}), "No run of this branch")


def test_a_run_shows_cases_failed_ones_first_and_finds_some(run, as_alice):
    make_cases(make_node(run, state="failed", exit_code=1), failed=NAMES[2:3], skipped=NAMES[3:4])
    page = as_alice.get(f"{TESTS}1/")
    text = page.content.decode()
    assert text.index("keeps the cart") < text.index("adds to the cart")
    assertContains(page, "1 test failed.")
    assertContains(page, "tests/test_cart.py:42")
    assertNotContains(as_alice.get(f"{TESTS}1/?cases=failed"), "adds to the cart")
    assertContains(as_alice.get(f"{TESTS}1/?cases=skipped"), "no printer here")
    assertNotContains(as_alice.get(f"{TESTS}1/?q=receipt"), "keeps the cart")
    assertContains(as_alice.get(f"{TESTS}1/?q=nothing"), "No test is like that")
    assert as_alice.get(f"{TESTS}2/").status_code == 404


def test_a_test_that_passed_and_failed_for_one_commit_is_flaky(run, shop, alice, as_alice):
    make_cases(make_node(run, state="failed"), failed=NAMES[:1])
    again = make_run(shop, by=alice, state="succeeded")
    make_cases(make_node(again))
    other = make_run(shop, by=alice, state="failed", commit="b" * 40)
    make_cases(make_node(other, state="failed"), failed=NAMES[:2])
    for number in (1, 2, 3):
        assertContains(as_alice.get(f"{TESTS}{number}/"), ">Flaky<", count=1)


def test_hostile_text_is_shown_and_not_run(run, as_alice):
    node = make_node(run, state="failed")
    evil = "<img src=x onerror=alert(1)>"
    TestCase.objects.create(run=run, node=node, number=1, description=evil, passed=False, diagnostic=evil)
    TestRun.objects.filter(pk=run.pk).update(branch=evil, message=evil, failed=1, reason=evil)
    for path in (TESTS, f"{TESTS}1/"):
        assertNotContains(as_alice.get(path), "<img src=x")


def test_the_output_shown_follows_the_run_and_the_address(shop, alice, as_alice, settings, tmp_path):
    settings.DATA = tmp_path
    seed(shop, by=alice, rows=0)
    failing = as_alice.get(f"{TESTS}1/")
    assertContains(failing, 'aria-label="Output of node 1"')
    assertContains(as_alice.get(f"{TESTS}1/?output=0"), 'aria-label="Output of node 0"')
    assertContains(as_alice.get(f"{TESTS}1/?output=setup"), "Python app detected")
    moved = as_alice.get(f"{TESTS}2/?shown=setup", headers=HTMX)
    assertContains(moved, 'hx-swap-oob="true"')
    same = as_alice.get(f"{TESTS}2/?shown=0", headers=HTMX)
    assertNotContains(same, "hx-swap-oob")


def test_a_failed_run_says_how_to_open_a_shell(run, shop, alice, vera, as_alice, client):
    assertContains(as_alice.get(f"{TESTS}1/"), "heroku ci:debug --pipeline shop")
    passed = make_run(shop, by=alice, state="succeeded")
    assertNotContains(as_alice.get(f"{TESTS}{passed.number}/"), "ci:debug")
    client.force_login(vera)
    assertNotContains(client.get(f"{TESTS}1/"), "ci:debug")


def test_it_is_run_again_and_cancelled(run, as_alice):
    make_node(run, index=0)
    make_node(run, index=1, state="failed", exit_code=1)
    TestRun.objects.update(nodes_total=2)
    assertRedirects(as_alice.post(f"{TESTS}1/reruns/"), f"{TESTS}2/", status_code=303)
    assertRedirects(as_alice.post(f"{TESTS}1/reruns-of-failed/"), f"{TESTS}3/", status_code=303)
    assert TestRun.objects.get(number=3).only_failed == [1]
    assertContains(as_alice.get(f"{TESTS}3/"), "Run 1</a> again")
    answer = as_alice.post(f"{TESTS}3/cancellation/", follow=True)
    assertContains(answer, "Test run 3 is cancelled.")
    assert TestRun.objects.get(number=3).state == "cancelled"


def test_a_new_run_asks_for_a_branch(shop, as_alice):
    assertContains(as_alice.get(f"{TESTS}new/"), "shop has no code yet")
    answer = as_alice.post(f"{TESTS}new/", {"branch": "--upload-pack=x"})
    assertContains(answer, "shop has no code yet", status_code=422)
    assert not TestRun.objects.exists()


def test_when_tests_run_is_decided_by_who_manages(shop, as_alice, bob, client):
    answer = as_alice.post(SETTINGS, {"on_push": "on"}, follow=True)
    assertContains(answer, "Each push is tested now.")
    chosen = settings_of(shop)
    assert (chosen.on_push, chosen.supersede) == (True, False)
    client.force_login(bob)
    assert client.post(SETTINGS, {"on_push": "on"}).status_code == 403
    assertContains(client.get(SETTINGS), "disabled")


def test_config_vars_of_tests_are_hidden_until_they_are_revealed(shop, alice, as_alice, vera, client):
    answer = as_alice.post(f"{SETTINGS}config/", {"key": "TOKEN", "value": "hush"})
    assert (answer.status_code, answer["Location"]) == (303, f"{SETTINGS}#config")
    assertNotContains(as_alice.get(SETTINGS), "hush")
    assertContains(as_alice.post(f"{SETTINGS}config/TOKEN/value/"), "hush")
    assert Event.objects.filter(verb="revealed the test config of").exists()
    refused = as_alice.post(f"{SETTINGS}config/", {"key": "9", "value": "typed"})
    assertNotContains(refused, "typed", status_code=422)
    as_alice.post(f"{SETTINGS}config/TOKEN/removal/")
    assert not CiVar.objects.exists()
    assert as_alice.post(f"{SETTINGS}config/TOKEN/removal/").status_code == 404
    set_vars(shop, {"SECRET_NAME": "x"}, by=alice)
    client.force_login(vera)
    assertNotContains(client.get(SETTINGS), "SECRET_NAME")


def test_cards_of_the_board_say_what_tests_say_of_their_code(shop, alice, as_alice):
    board = "/pipelines/shop/"
    slug = shop.couplings.get(app__name="shop-staging").app.releases.get(current=True).slug
    assertNotContains(as_alice.get(board), "CI passed")
    make_run(shop, by=alice, state="failed", commit=slug.commit)
    assertContains(as_alice.get(board), "CI failed", count=1)
    make_run(shop, by=alice, state="succeeded", commit=slug.commit)
    page = as_alice.get(board)
    assertContains(page, "CI passed", count=1)
    assertContains(page, 'href="/pipelines/shop/tests/2/"')
    make_run(shop, by=alice, commit=slug.commit)
    assertContains(as_alice.get("/apps/shop-staging/card/"), "CI runs")
