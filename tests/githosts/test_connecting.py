"""Connecting a repository: what is looked at before, what its token opens, and what is never shown."""

import subprocess
from pathlib import Path

import pytest

from core.errors import Conflict, Refusal
from core.models import Event
from forge import actions, code, hosts
from forge.models import Grant, Repository
from releases import checkouts
from releases.models import Source
from tests.githosts.conftest import SECRET

KINDS = ["github", "gitlab", "gitea", "bitbucket"]


def test_a_public_repository_is_connected_after_a_look(connect, forge):
    repository, secret = connect()
    assert (repository.host, repository.full_name, repository.default_branch) == ("git", "shop", "main")
    assert repository.heads == {"main": forge.git("shop.git", "rev-parse", "main")}
    assert len(secret) == 64 and repository.secret == secret and not repository.private
    event = Event.objects.get(verb="connected")
    assert secret not in str(event.details)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_is_shown_to_git_and_to_the_hosts_api(connect, forge, host_of, kind):
    api = host_of(kind)
    forge.private, forge.password = {"shop.git"}, "token-1"
    repository, _ = connect(host=kind, token=" token-1\n")
    assert repository.private and repository.token == "token-1" and api.calls[0][0] == "GET"
    assert {one.partition(":")[2] for one in forge.shown if one} == {"token-1"}
    assert "token-1" not in repr(vars(repository)) + str(Event.objects.filter(verb="connected").values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_the_host_does_not_take_is_said_to_be_wrong(connect, host_of, kind):
    host_of(kind)
    with pytest.raises(Refusal) as no:
        connect(host=kind, token="wrong")
    assert "token" in no.value.fields and not Repository.objects.exists()


def test_what_is_no_repository_is_refused_and_nothing_is_written(shop, alice, forge):
    forge.repository()
    for url, field in {
        f"{forge.url}/none.git": "url",
        "git@github.com:acme/shop.git": "url",
        "https://alice:pw@git.example.com/shop.git": "url",
        "file:///etc": "url",
    }.items():
        with pytest.raises(Refusal) as no:
            actions.connect(shop, url, by=alice)
        assert field in no.value.fields, url
    with pytest.raises(Refusal) as no:
        actions.connect(shop, f"{forge.url}/shop.git", default_branch="none", by=alice)
    assert "default_branch" in no.value.fields
    assert not Repository.objects.exists()


def test_a_private_repository_without_a_token_asks_for_one(connect, forge):
    forge.repository()
    forge.private, forge.password = {"shop.git"}, "token-1"
    with pytest.raises(Refusal, match="asks for a password"):
        connect()


@pytest.mark.promise("I-41")
def test_internal_addresses_are_refused(shop, alice, settings):
    settings.OUTBOUND_ALLOW = []
    with pytest.raises(Refusal, match="internal"):
        actions.connect(shop, "http://127.0.0.1/shop.git", by=alice)


def test_a_pipeline_has_one_repository(connect):
    connect()
    with pytest.raises(Conflict):
        connect()


def test_changing_keeps_the_token_unless_another_is_given(connect, forge, host_of, alice):
    host_of("github")
    repository, _ = connect(host="github", token="token-1")
    forge.git("shop.git", "branch", "next")
    changed = actions.change(repository, default_branch="next", polls=False, by=alice)
    assert (changed.token, changed.default_branch, changed.polls) == ("token-1", "next", False)
    assert "next" not in changed.heads  # what is new is for the next look to tell
    assert actions.change(repository, token="", polls=True, by=alice).token == ""


def test_a_new_secret_ends_the_old_one(connect, alice):
    repository, before = connect()
    secret = actions.renew_secret(repository, by=alice)
    assert Repository.objects.get().secret == secret != before


@pytest.mark.parametrize("kind", KINDS)
def test_the_host_is_asked_to_send_hooks_once(connect, host_of, alice, kind):
    api = host_of(kind)
    repository, before = connect(host=kind, token="token-1")
    for _ in range(2):
        actions.make_hook(repository, by=alice)
    (hook,) = api.hooks.values()
    repository.refresh_from_db()
    assert repository.hook_ref in api.hooks and repository.secret != before
    assert repository.secret in str(hook) and f"/hooks/{repository.pk}/" in str(hook)


@pytest.mark.parametrize("leave", [actions.disconnect, actions.turn_hooks_off])
@pytest.mark.parametrize("kind", KINDS)
def test_the_hook_at_the_host_goes_when_it_is_left(connect, host_of, alice, kind, leave):
    api = host_of(kind)
    repository, _ = connect(host=kind, token="token-1")
    actions.make_hook(repository, by=alice)
    assert leave(repository, by=alice) == ""
    assert api.hooks == {}


def test_a_host_that_keeps_the_hook_keeps_nobody_from_leaving(connect, host_of, alice):
    api = host_of("github")
    repository, _ = connect(host="github", token="token-1")
    actions.make_hook(repository, by=alice)
    api.rights = False
    assert "Remove the hook at GitHub by hand" in actions.disconnect(repository, by=alice)
    assert not Repository.objects.exists()


def test_a_token_without_the_right_makes_no_hook_and_changes_no_secret(connect, host_of, alice):
    host_of("github").rights = False
    repository, secret = connect(host="github", token="token-1")
    with pytest.raises(Refusal, match="may not do that"):
        actions.make_hook(repository, by=alice)
    repository.refresh_from_db()
    assert repository.secret == secret and repository.hook_ref == ""


# --- fetching ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def private(connect, forge, host_of):
    host_of("gitea")
    forge.repository()
    forge.private, forge.password = {"shop.git"}, "token-1"
    return connect(host="gitea", token="token-1")[0]


def fill(source):
    said = []
    checkouts.fill(source, say=said.append, stop=lambda: False)
    return said


def test_a_private_repository_is_fetched_with_the_token_that_nobody_sees(
    private, shop, alice, forge, settings
):
    app = shop.couplings.first().app
    source = code.source_of(shop, "main", into=app, by=alice)
    said = fill(source)
    source.refresh_from_db()
    assert source.commit == forge.git("shop.git", "rev-parse", "main")
    assert "token-1" not in str(said) + str(vars(source))


def test_the_token_is_in_no_command_line(private, shop, alice, monkeypatch):
    commands, start = [], subprocess.Popen

    def watch(command, **options):
        commands.append(command)
        return start(command, **options)

    monkeypatch.setattr("releases.remotes.subprocess.Popen", watch)
    fill(code.source_of(shop, "main", into=shop.couplings.first().app, by=alice))
    parts = [part for command in commands for part in command]
    assert parts and not any("token" in part or "Authorization" in part for part in parts)


def test_a_source_by_url_gets_no_token_although_the_pipeline_has_one(private, shop, alice):
    app = shop.couplings.first().app
    source = Source.objects.create(app=app, user=alice, repository=private.url, ref="main")
    with pytest.raises(Exception, match="asks for a password"):
        fill(source)


def test_a_token_goes_only_where_it_was_given_for(private, shop, alice, forge):
    source = code.source_of(shop, "main", into=shop.couplings.first().app, by=alice)
    Repository.objects.update(url=f"{forge.url}/other.git")
    assert checkouts._lenders[0](Source.objects.get(pk=source.pk)) == ""


def test_a_disconnected_repository_lends_no_token_any_more(private, shop, alice):
    source = code.source_of(shop, "main", into=shop.couplings.first().app, by=alice)
    actions.disconnect(private, by=alice)
    assert not Grant.objects.exists()
    with pytest.raises(Exception, match="asks for a password"):
        fill(source)


@pytest.mark.parametrize(
    "url, kind, api",
    [
        ("https://github.com/acme/shop.git", "github", "https://api.github.com"),
        ("https://github.acme.example/acme/shop", "github", "https://github.acme.example/api/v3"),
        ("https://gitlab.com/acme/web/shop.git", "gitlab", "https://gitlab.com/api/v4"),
        ("https://codeberg.org/acme/shop", "gitea", "https://codeberg.org/api/v1"),
        ("https://bitbucket.org/acme/shop.git", "bitbucket", "https://api.bitbucket.org/2.0"),
        ("https://git.acme.example/acme/shop.git", "git", ""),
    ],
)
def test_the_kind_of_host_is_guessed_by_its_name(url, kind, api):
    assert hosts.guess(url) == kind and hosts.api_url_of(kind, url) == api


def test_no_file_of_the_package_names_a_secret_of_the_tests():
    folder = Path(actions.__file__).parent
    assert not any(SECRET in path.read_text() for path in folder.rglob("*.py"))


def test_a_commit_of_a_few_digits_is_fetched_by_its_branch(connect, shop, alice, forge):
    connect()
    app = shop.couplings.first().app
    source = code.source_of(shop, "abcdef012345", into=app, by=alice, branch="main")
    fill(source)
    assert source.commit == forge.git("shop.git", "rev-parse", "main")
