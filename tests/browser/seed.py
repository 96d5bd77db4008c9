"""What the browser finds: run in the server's own process environment, before it starts."""

import django

django.setup()
# ruff: noqa: E402 - models can be imported only now

from django.core.management import call_command

from accounts import actions as account_actions
from accounts.models import User
from addons.models import Addon
from apps.models import App, Dyno
from core import changes
from core.changes import Change
from flow import actions as flow_actions
from flow import passages
from flow.models import Passage
from pipelines import actions
from pipelines.models import Coupling
from releases.actions import create_build, set_config
from releases.models import Build, Release
from tests import mailing
from tests.factories import make_addon, make_app, make_pipeline, make_release, make_source, make_user, stage

HOSTILE = '"><script>window.pwned=1</script><img src=x onerror="window.pwned=1">'


def seed() -> None:
    """A pipeline of three stages, with a build under way and a crashed dyno."""
    call_command("migrate", verbosity=0)
    alice = make_user("alice@example.com", name="Alice Liddell")
    team = account_actions.create_team("acme", by=alice)
    shop = make_pipeline("shop", owner=team)
    for name, where in (("shop-dev", "development"), ("shop-staging", "staging"), ("shop-eu", "production")):
        run(make_app(name, owner=team, stage=stage(shop, where), released=True))
    run(make_app("shop-us", owner=team, stage=stage(shop, "production"), released=True), state="crashed")
    dev = App.objects.get(name="shop-dev")
    build = create_build(dev, make_source(dev, message=HOSTILE, author=HOSTILE), by=alice)
    Build.objects.filter(pk=build.pk).update(status="running")
    set_config(App.objects.get(name="shop-eu"), {"KEY": HOSTILE}, by=alice)
    Release.objects.filter(status="pending").update(status="succeeded")
    make_app("lonely", owner=alice, released=True)
    make_app("heir", owner=alice, stage=stage(make_pipeline("estate", owner=alice), "staging"), released=True)
    made = Coupling.objects.get(app__name="shop-staging")
    actions.promote(made, made.downstream(), by=alice, note=HOSTILE)
    make_release(App.objects.get(name="lonely"), by=alice, description=HOSTILE)
    inbox = make_addon(App.objects.get(name="lonely"), "mailer:inbox", name="outbox", as_="MAILER")
    mailing.receive(Addon.objects.whole().get(pk=inbox.pk), mailing.a_rich_mail(mailing.HOSTILE))
    for name in ("totp", "passkey", "second", "afar", "plain"):
        make_user(f"{name}@example.com")
    make_pipeline("afar", owner=User.objects.get(email="afar@example.com"))
    gated(alice)


def gated(alice: User) -> None:
    """A pipeline whose release waits for somebody to approve it; Bob may."""
    team = account_actions.create_team("keepers", by=alice)
    account_actions.set_role(team, make_user("bob@example.com", name="Bob Sawyer"), "member", by=alice)
    pipeline = make_pipeline("gated", owner=team)
    for name in ("staging", "production"):
        run(make_app(f"gated-{name}", owner=team, stage=stage(pipeline, name), released=True))
    line = flow_actions.set_line(stage(pipeline, "production"), mode="ask", by=alice)
    flow_actions.add_gate(line, "approval", {}, by=alice)
    for passage in passages.refresh(line):
        passages.look(Passage.objects.get(pk=passage.pk))


def run(app: App, state: str = "up") -> None:
    """A web dyno of the app."""
    version = Release.objects.get(app=app, current=True).version
    dyno = Dyno.objects.create(
        app=app, type="web", number=1, command="x", release_version=version, state=state
    )
    changes.note(Change(dyno, app_id=app.pk, details={"state": "starting"}))


if __name__ == "__main__":
    seed()
