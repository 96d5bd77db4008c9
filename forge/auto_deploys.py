"""Automatic deploys: new commits of a branch are built on an app by themselves, at once or when their tests have passed,
in the name of who switched that on. Only the newest commit is of interest.
"""

from collections.abc import Iterator

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from apps import access
from apps.models import App
from core import activity, live
from core.changes import Change
from core.errors import Conflict, Refusal
from forge import checks
from forge.code import branches_of, source_of
from forge.events import News, Pushed
from forge.models import AutoDeploy
from pipelines.models import Coupling, Pipeline
from releases import actions, remotes
from releases.models import OPEN, Build

LONGEST_PATH = 255
LONGEST_NOTE = 300


@transaction.atomic
def switch_on(app: App, *, branch: str, wait_for_ci: bool = False, path: str = "", by: User) -> AutoDeploy:
    """Have new commits of `branch` of the pipeline's code built on `app`, from the next one on. With a `path`, only
    those that change a file below it."""
    coupling = Coupling.objects.filter(app=app).select_related("pipeline").first()
    if coupling is None:
        raise Refusal(f"{app.name} is in no pipeline, so there is no code that it could follow.")
    branch, path = branch.strip(), check_path(path)
    known = branches_of(coupling.pipeline)
    if not branch or remotes.check_ref(branch) not in known:
        message = f"The code of {coupling.pipeline.name} has no branch {branch[:60] or 'without a name'}."
        raise Refusal(message, fields={"branch": message})
    row, _ = AutoDeploy.objects.update_or_create(
        app=app,
        defaults={
            "branch": branch,
            "wait_for_ci": wait_for_ci,
            "path": path,
            "by": by,
            "commit": known[branch],
            "waits": False,
            "note": "",
            "noted_at": None,
        },
    )
    activity.record(
        by, "switched automatic deploys on for", app, branch=branch, wait_for_ci=wait_for_ci, path=path
    )
    live.tell(app.topic)
    return row


@transaction.atomic
def switch_off(app: App, *, by: User) -> None:
    """Leave the app to pushes, promotions, and builds by hand."""
    if AutoDeploy.objects.filter(app=app).delete()[0]:
        activity.record(by, "switched automatic deploys off for", app)
        live.tell(app.topic)


def deploy_now(app: App, branch: str, *, by: User) -> Build:
    """Build the newest commit of a branch, tag, or a commit, of the pipeline's code on `app`."""
    coupling = Coupling.objects.filter(app=app).select_related("pipeline").first()
    if coupling is None:
        raise Refusal(f"{app.name} is in no pipeline, so there is no code to take a branch of.")
    with transaction.atomic():
        source = source_of(coupling.pipeline, branch, into=app, by=by)
        return actions.create_build(app, source, by=by)


def check_path(path: str) -> str:
    """The path of a folder in a repository, without slashes around it; empty: all of it."""
    path = path.strip().strip("/")
    parts = path.split("/")
    wrong = len(path) > LONGEST_PATH or not path.isprintable() or "\\" in path
    if path and (wrong or any(part in ("", ".", "..") for part in parts)):
        message = "Give a folder of the repository, like services/web."
        raise Refusal(message, fields={"path": message})
    return path


# --- news -------------------------------------------------------------------------------------------------------------


def on_news(news: News) -> Iterator[str]:
    """Take news of a push: see `forge.events`."""
    if not isinstance(news, Pushed) or not news.commit:
        return
    for row in _rows(news.pipeline).filter(branch=news.branch).exclude(commit=news.commit):
        yield _consider(row, news)


def on_change(change: Change) -> None:
    """Take the end of a test run: see `core.changes`."""
    run = change.thing
    if run._meta.label_lower == "ci.testrun" and getattr(run, "commit", ""):
        look_again(run.pipeline, run.commit)


def look_again(pipeline: Pipeline, commit: str) -> list[str]:
    """Look at whoever waits for the tests of a commit, of which there is news. Returns what came of it."""
    waiting = _rows(pipeline).filter(commit=commit, waits=True)
    return [said for row in waiting if (said := _decide(row, pipeline))]


def _rows(pipeline: Pipeline):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return (
        AutoDeploy.objects.filter(app__coupling__pipeline=pipeline, app__destroyed_at=None)
        .select_related("app", "by")
        .order_by("app__name")
    )


def _consider(row: AutoDeploy, news: Pushed) -> str:
    short = news.commit[:7]
    if row.path and news.files is not None and not any(_below(name, row.path) for name in news.files):
        return _note(row, f"{row.app.name} is not deployed: {short} changes nothing below {row.path}.")
    row.commit, row.waits = news.commit, row.wait_for_ci
    row.save(update_fields=["commit", "waits"])
    if row.waits:
        return _decide(row, news.pipeline)
    return _deploy(row, news.pipeline)


def _decide(row: AutoDeploy, pipeline: Pipeline) -> str:
    """Deploy if the tests have passed; empty while nothing has changed. What has failed may pass when it is run again:
    until it does, or a newer commit comes, the row waits on."""
    judged = checks.judge(pipeline, row.commit)
    if judged is None or judged.state in ("none", "pending"):
        said = f"{row.app.name} waits for the tests of {row.commit[:7]}."
        if judged is not None and judged.cancelled:
            said += f" {judged.words}"
    elif judged.state == "failed":
        said = f"{row.app.name} is not deployed: {judged.words}"
    else:
        AutoDeploy.objects.filter(pk=row.pk).update(waits=False)
        return _deploy(row, pipeline)
    return _note(row, said) if said[:LONGEST_NOTE] != row.note else ""


def _deploy(row: AutoDeploy, pipeline: Pipeline) -> str:
    app, short = row.app, row.commit[:7]
    if _is_built(row):
        return _note(row, f"{app.name} has {short} already.")
    if row.by is None or access.DEPLOY not in access.rights_in(row.by, app):
        who = row.by.get_full_name() if row.by else "Whoever switched it on"
        return _note(row, f"{app.name} is not deployed: {who} may not deploy it any more.")
    try:
        with transaction.atomic():
            _cancel_outdone(row)
            source = source_of(pipeline, row.commit, into=app, by=row.by, branch=row.branch)
            row.build = actions.create_build(app, source, by=row.by)
            row.save(update_fields=["build"])
    except Refusal as no:
        return _note(row, f"{app.name} is not deployed: {no.message}")
    return _note(row, f"{app.name} builds {short} of {row.branch}.")


def _is_built(row: AutoDeploy) -> bool:
    """Whether the app's last build is of this very commit: whoever pushes to the app itself has had it built."""
    last = Build.objects.filter(app=row.app).exclude(status="cancelled").order_by("-created_at").first()
    if last is None or last.status not in [*OPEN, "succeeded"]:
        return False
    return row.commit in (last.source.commit, last.source.ref)


def _cancel_outdone(row: AutoDeploy) -> None:
    """Cancel the automatic build before this one if it has not begun: nobody waits for it."""
    if row.build and row.build.status == Build.Status.PENDING:
        try:
            actions.cancel_build(row.build, by=None)
        except Conflict:
            return


def _below(name: str, folder: str) -> bool:
    return name == folder or name.startswith(f"{folder}/")


def _note(row: AutoDeploy, said: str) -> str:
    """Keep what came of it with the app, for its pages."""
    AutoDeploy.objects.filter(pk=row.pk).update(note=said[:LONGEST_NOTE], noted_at=timezone.now())
    live.tell(row.app.topic)
    return said
