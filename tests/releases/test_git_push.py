"""`git push`: what is built, what moves, and what the pusher reads meanwhile."""

import os
import signal
import subprocess

import pytest
from django.db import transaction

from accounts import actions as account_actions
from apps import actions as app_actions
from apps.models import App
from core.models import Event
from releases import actions
from releases import repositories as repos
from releases.git import HOOKS
from releases.models import Build, Release, Source
from releases.pushes import end_abandoned
from tests.factories import make_release, make_source
from tests.releases.conftest import Conductor, Repo, archive, eventually, say, with_token

MAIN = "refs/heads/main"


def read_until(process, text):
    seen = b""
    while text.encode() not in seen:
        line = process.stdout.readline()
        assert line, seen.decode()
        seen += line
    return seen.decode()


@pytest.mark.promise("I-11")
def test_an_accepted_push_moves_the_ref_to_what_was_built(repo, app, conductor):
    status, output = repo.push()
    assert status == 0, output
    assert "remote: -----> Released v1 — http://shop.localhost:8000/" in output
    assert repos.head(app, MAIN) == repo.head == Build.objects.get().source.commit == conductor.built[0]


@pytest.mark.promise("I-11")
@pytest.mark.parametrize(
    ("outcome", "release", "words"),
    [
        ("failed", "", "Build failed: No buildpack fits."),
        ("cancelled", "", "The build was cancelled."),
        ("succeeded", "failed", "Release v1 failed: Release phase: status 1"),
    ],
)
def test_a_push_that_comes_to_nothing_is_rejected_and_the_ref_stays(repo, app, outcome, release, words):
    with Conductor(outcome=outcome, release=release):
        status, output = repo.push()
    assert status == 1
    assert f"remote:  !     {words}" in output
    assert "pre-receive hook declined" in output
    assert repos.head(app, MAIN) is None


def test_the_output_comes_line_by_line_while_the_build_runs(repo, conductor):
    conductor.go.clear()
    process = repo.start_push()
    read_until(process, "-----> Static app detected")
    build = Build.objects.get()
    say(build.log_stream, "Half-way \x1b[2J there")
    read_until(process, "Half-way  there")
    assert Build.objects.get().status == "running"
    conductor.go.set()
    rest = process.communicate(timeout=20)[0].decode()
    assert "Migrating" in rest
    assert process.returncode == 0


def test_the_source_is_the_commit_and_says_who_wrote_it(repo, alice, conductor):
    repo.commit(
        {".gitattributes": "secret.txt export-ignore\n", "secret.txt": "built too"}, "Add things\n\nMore"
    )
    assert repo.push()[0] == 0
    source = Source.objects.get()
    listed = subprocess.run(
        ["tar", "-tf", archive(Build.objects.get())], capture_output=True, check=True
    ).stdout
    assert b"secret.txt" in listed
    assert b"index.html" in listed
    assert (source.message, source.author, source.author_email) == ("Add things", "Zoë", "zoe@example.com")
    assert source.user == alice
    assert source.branch == "main"


def test_a_push_is_recorded_as_coming_through_git(repo, alice, conductor):
    assert repo.push()[0] == 0
    event = Event.objects.get(verb="started a build of")
    assert (event.by, event.through, event.address) == (alice, "git", "127.0.0.1")


def test_a_commit_of_another_encoding_or_of_none_is_taken(repo, conductor):
    tree = repo.git("rev-parse", "HEAD^{tree}").stdout
    person = b"J\xf6rg <j@example.com> 1700000000 +0000"
    raw = b"tree %sauthor %s\ncommitter %s\nencoding ISO-8859-1\n\nGr\xfc\xdfe\x01\n" % (tree, person, person)
    sha = repo.git("hash-object", "-t", "commit", "-w", "--stdin", input=raw).stdout.decode().strip()
    assert repo.push(f"{sha}:{MAIN}")[0] == 0
    source = Source.objects.get()
    assert (source.author, source.message) == ("Jörg", "Grüße")
    unlabelled = raw.replace(b"encoding ISO-8859-1\n", b"")
    sha = repo.git("hash-object", "-t", "commit", "-w", "--stdin", input=unlabelled).stdout.decode().strip()
    assert repo.push(f"+{sha}:{MAIN}")[0] == 0
    assert Source.objects.latest("created_at").message == "Gr��e"


def test_master_deploys_too_and_a_second_push_builds_nothing_new(repo, app, conductor):
    assert repo.push("main:master")[0] == 0
    assert repos.head(app, "refs/heads/master") == repo.head
    assert "Everything up-to-date" in repo.push("main:master")[1]
    assert Build.objects.count() == 1


def test_a_rewritten_history_is_deployed(repo, app, conductor):
    assert repo.push()[0] == 0
    repo.git("commit", "--amend", "-q", "-m", "Other")
    assert repo.push("--force", "main")[0] == 0
    assert repos.head(app, MAIN) == repo.head


def test_another_branch_is_kept_but_not_built(repo, app):
    status, output = repo.push("main:topic")
    assert status == 0
    assert "Pushed to branch topic. Only main and master deploy" in output
    assert "git push <remote> topic:main" in output
    assert repos.head(app, "refs/heads/topic") == repo.head
    assert not Build.objects.exists()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (["main:main", "main:master"], "Push main or master, not both at once"),
        (["main:refs/heads/main/x"], "would be in the way of the branch that deploys"),
        (["HEAD^{tree}:refs/tags/t", "main:refs/heads/master/x"], "would be in the way"),
    ],
)
def test_refs_that_could_not_be_told_apart_are_refused(repo, what, words):
    status, output = repo.push(*what)
    assert status == 1
    assert words in output
    assert not Build.objects.exists()


def test_the_deployed_branch_is_not_deleted_and_others_are(repo, app, conductor):
    assert repo.push("main", "main:topic")[0] == 0
    status, output = repo.push(":main")
    assert status == 1
    assert "main can't be deleted: it names the code that was deployed last." in output
    assert repo.push(":topic")[0] == 0
    assert repos.head(app, MAIN) == repo.head
    assert repos.head(app, "refs/heads/topic") is None


def test_submodules_are_pointed_out(repo, conductor):
    repo.commit(
        {".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = https://example.com/x.git\n'}, "Submodule"
    )
    status, output = repo.push()
    assert status == 0
    assert "This repository has submodules. They are not fetched" in output


@pytest.mark.promise("I-10")
def test_a_client_that_dies_does_not_kill_its_build(repo, app, conductor):
    conductor.go.clear()
    process = repo.start_push()
    read_until(process, "Static app detected")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    conductor.go.set()
    eventually(lambda: repos.head(app, MAIN) == repo.head)
    assert Build.objects.get().status == "succeeded"


def test_two_pushes_at_once_do_not_mix(repo, app, conductor, tmp_path):
    conductor.go.clear()
    first = repo.start_push()
    read_until(first, "Static app detected")
    other = Repo(tmp_path / "other", repo.url)
    status, output = other.push("--force", "main")
    assert status == 1
    assert "Another push to this app is on its way right now." in output
    conductor.go.set()
    first.communicate(timeout=20)
    assert first.returncode == 0
    assert conductor.built == [repo.head]
    assert repos.head(app, MAIN) == repo.head


@pytest.mark.promise("I-31")
def test_a_token_that_is_revoked_while_objects_arrive_deploys_nothing(repo, app, alice, monkeypatch):
    monkeypatch.setenv("FAILPOINTS", "git.objects_received=sleep:1")
    process = repo.start_push()
    eventually(lambda: list(repos.path(app).glob("objects/tmp_objdir*")))
    account_actions.revoke_token(alice.api_tokens.get(), by=alice)
    output = process.communicate(timeout=20)[0].decode()
    assert process.returncode == 1
    assert "Your API token was revoked while you pushed." in output
    assert not Build.objects.exists()
    assert repos.head(app, MAIN) is None


@pytest.mark.promise("I-31")
def test_a_right_that_is_lost_while_objects_arrive_deploys_nothing(repo, app, charlie, alice, monkeypatch):
    monkeypatch.setenv("FAILPOINTS", "git.objects_received=sleep:1")
    process = repo.start_push()
    eventually(lambda: list(repos.path(app).glob("objects/tmp_objdir*")))
    App.objects.filter(pk=app.pk).update(user=charlie)
    output = process.communicate(timeout=20)[0].decode()
    assert "Couldn't find that app." in output
    assert not Build.objects.exists()


@pytest.mark.promise("I-46")
def test_a_push_that_is_too_large_is_refused(repo, app, settings):
    settings.PUSH_BYTES = 300_000
    (repo.folder / "blob").write_bytes(os.urandom(500_000))
    repo.commit({}, "Large")
    status, output = repo.push()
    assert status != 0
    assert "413" in output or "exceeds maximum allowed size" in output
    assert repos.head(app, MAIN) is None


def test_a_source_that_is_too_large_unpacked_is_refused(repo, app, settings):
    settings.SOURCE_BYTES = 20_000
    repo.commit({"zeros": "0" * 50_000}, "Packs well")
    status, output = repo.push()
    assert status == 1
    assert "The source is larger than 20,000 bytes" in output
    assert not list((settings.DATA / "sources").glob("*.part"))


def test_an_app_that_is_destroyed_during_the_push_ends_it(repo, app, conductor):
    conductor.go.clear()
    process = repo.start_push()
    read_until(process, "Static app detected")
    Build.objects.all().delete()
    output = process.communicate(timeout=20)[0].decode()
    assert process.returncode == 1
    assert "The app was destroyed." in output
    conductor.over.set()


def test_the_platform_stopping_rejects_the_push_and_says_what_to_do(repo, app, server, conductor):
    from releases.git import let_go

    conductor.go.clear()
    process = repo.start_push()
    read_until(process, "Static app detected")
    server.call(let_go())
    output = process.communicate(timeout=20)[0].decode()
    assert process.returncode == 1
    assert "The platform is stopping, so this push is rejected." in output
    assert repos.head(app, MAIN) is None
    assert Build.objects.get().cancel_asked
    assert not list(repos.path(app).glob("objects/tmp_objdir*")), output


@pytest.mark.promise("I-11")
def test_the_build_of_a_push_that_died_is_not_deployed(app, alice):
    source = make_source(app)
    dead, again = actions.create_build(app, source, by=alice), actions.build_again(app, source, by=alice)
    uploaded = actions.create_build(app, Source.objects.create(app=app, version="v1"), by=alice)
    with repos.pushing(app):
        assert end_abandoned() == 0
    assert end_abandoned() == 1
    asked = {build.pk: build.cancel_asked for build in Build.objects.all()}
    assert asked == {dead.pk: True, again.pk: False, uploaded.pk: False}


@pytest.mark.promise("I-11")
def test_the_release_of_a_push_that_died_does_not_go_live(app, alice):
    serving = make_release(app, by=alice)
    build = actions.create_build(app, make_source(app), by=alice)
    with transaction.atomic():
        coming = actions.create_release(app, kind="deploy", description="Deploy", by=alice, slug=serving.slug)
    Build.objects.filter(pk=build.pk).update(status="succeeded", release=coming)
    assert Release.objects.claim().pk == coming.pk
    assert end_abandoned() == 1
    coming.refresh_from_db()
    assert (coming.status, coming.lease_token) == ("failed", None)
    assert "push" in coming.reason
    assert Release.objects.current_for(app) == serving
    assert end_abandoned() == 0


@pytest.mark.parametrize("told", ["", "closed"])
def test_the_hook_alone_lets_nothing_through(told):
    env = {"PATH": os.environ["PATH"]}
    read, write = os.pipe()
    if told:
        env["SLIPWAY_PUSH_CHANNEL"] = str(read)
    done = subprocess.run(
        [HOOKS / "pre-receive"], input=b"", env=env, capture_output=True, pass_fds=[read], timeout=20
    )
    os.close(read)
    os.close(write)
    assert done.returncode == 1
    assert b"!" in done.stdout


def test_a_renamed_app_takes_pushes_under_its_new_name_only(repo, app, alice, conductor, server, token):
    assert repo.push()[0] == 0
    app_actions.rename_app(app, "store", by=alice)
    repo.commit({"a": "b"}, "Second")
    status, output = repo.push()
    assert status != 0
    assert "Couldn't find that app." in output
    repo.url = with_token(f"{server.url}/store.git", token)
    assert repo.push()[0] == 0
    assert repos.head(app, MAIN) == repo.head
