"""A platform that looks real: teams, pipelines and apps in every state, as many rows of each as asked for."""

import datetime
import itertools
import math
import time
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client, RequestFactory
from django.utils import timezone

from accounts import actions as account_actions
from accounts import cli_sign_in, invitations, oauth
from accounts.models import Team, User
from addons import archives, databases
from addons.models import Addon, Attachment, Transfer
from apps import actions as app_actions
from apps import alerts, certificates, drains, logs
from apps.models import Alert, App, Certificate, Crash, Dyno, DynoEvent, Formation, Traffic
from blueprints.models import Proposal
from engine.spec import Line
from engine.tally import BOUNDS
from flow import actions as flow_actions
from flow import passages
from flow.models import Freeze, Hold, Passage, Probe, Verdict
from forge import auto_deploys
from forge.models import AutoDeploy, PullRequest, Receipt, Repository
from hooks.actions import add_webhook
from hooks.models import Webhook
from metering import budgets, meters
from metering.models import Meter
from notices import actions as notice_actions
from notices import events
from notices.models import Channel
from pipelines import actions as pipeline_actions
from pipelines.models import Coupling, Pipeline, Stage
from releases.actions import create_build, set_config
from releases.models import Build, Release
from reviews import actions as review_actions
from reviews.models import AppSetup, ReviewApp
from scheduler import actions as scheduler_actions
from scheduler.models import ScheduledJob
from tests import mailing
from tests.certificates import leaf
from tests.ci.made import seed
from tests.factories import (
    make_addon,
    make_app,
    make_balancer,
    make_pipeline,
    make_release,
    make_shared_addon,
    make_slug,
    make_source,
    make_user,
    stage,
)

PASSWORD = "a fine password"
PEOPLE = ["Rosa Silva", "Davit Beridze", "Ines Okafor", "Tomasz Wójcik", "Yuki Tanaka", "Noor Haddad"]
MESSAGES = [
    "Round shipping costs half up in the order summary",
    "Show the delivery window before the address is typed",
    "Cache the exchange rates for five minutes, and say how old they are when the bank does not answer",
    "Upgrade to Django 5.2",
    "Fix the basket badge after signing out in another tab",
    "Drop the unused promo banner",
]
LONG = "storefront-checkout-experiment"  # 30 characters, the most that a name may have
R15 = "Error R15 (Memory quota vastly exceeded)"
DYNO_EVENTS = [  # minutes ago, dyno, before, after, reason
    (600, "web.1", "up", "starting", ""),
    (596, "web.1", "starting", "up", ""),
    (400, "web.3", "", "starting", ""),
    (397, "web.3", "starting", "up", ""),
    (230, "web.2", "up", "crashed", R15),
    (222, "web.2", "crashed", "starting", ""),
    (219, "web.2", "starting", "up", ""),
    (150, "web.3", "up", "", ""),
    (60, "web.1", "up", "up", "Error R14 (Memory quota exceeded)"),
]
LINES = [
    (
        "heroku",
        "router",
        'at=info method=GET path="/cart" host=storefront-us dyno=web.1 status=200 bytes=5120',
    ),
    ("app", "web.1", "INFO  basket 8121 priced in 12 ms"),
    ("app", "web.2", "\x1b[33mWARN\x1b[0m  exchange rates are 6 minutes old"),
    ("app", "worker.1", "ERROR could not reach the mail server, trying again in 30 s"),
]
_numbers = itertools.count(1)


LOOKING = ("mara", "newcomer", "secure")


class World:
    """What `tests.pages` writes into its paths, by name."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.mara = make_user("mara@acme.example", PASSWORD, name="Mara Lindqvist")
        self.newcomer = make_user("newcomer@acme.example", PASSWORD, name="Nils Newcomer")
        self.secure = make_user("secure@acme.example", PASSWORD, name="Sana Secure")  # with a second factor
        self.team = account_actions.create_team("acme", by=self.mara)
        self.names: dict[str, Any] = {"team": "acme", "pipeline": "acme-storefront", "empty": "empty-harbour"}
        self.pipeline = _pipeline(self.team)
        make_pipeline("empty-harbour", owner=self.team)
        self._apps()
        self._history(self.us)
        self._addons()
        self._flow()
        self._account()
        self._usage()
        self._traffic()
        self._connected()
        seed(self.pipeline, by=self.mara, rows=rows)
        self.grow(rows)

    def _apps(self) -> None:
        team, where = self.team, lambda name: stage(self.pipeline, name)
        dev = make_app("storefront-dev", owner=team, stage=where("development"))
        _deployed(dev, 3)
        source = make_source(dev, message=MESSAGES[1], author=PEOPLE[2])
        build = create_build(dev, source, by=self.mara)
        _begun(Build, build, [{"name": "fetch source", "seconds": 1.2}, {"name": "compile", "seconds": None}])
        staging = make_app("storefront-staging", owner=team, stage=where("staging"))
        _deployed(staging, 2)
        releasing = make_release(staging, by=self.mara, slug=_slug(staging), status="running", current=False)
        _begun(
            Release,
            releasing,
            [{"name": "release phase", "seconds": 3.1}, {"name": "start", "seconds": None}],
        )
        self.us = make_app("storefront-us", owner=team, stage=where("production"))
        self.jp = make_app("storefront-jp", owner=team, stage=where("production"))
        for app in (self.us, self.jp, make_app(LONG, owner=team, stage=where("canary"))):
            _deployed(app, 2)
        _crash(self.jp)
        failed = create_build(
            self.jp, make_source(self.jp, message=MESSAGES[4], author=PEOPLE[1]), by=self.mara
        )
        _ended(failed, "failed", reason="The buildpack's compile step exited with 1.")
        make_app("storefront-eu", owner=team, stage=where("production"))
        app_actions.set_maintenance(App.objects.get(name=LONG), True, by=self.mara)
        make_app("fresh-app", owner=self.mara)
        self.names |= {"app": "storefront-us", "new": "fresh-app", "crashed": "storefront-jp", "long": LONG}
        self.names |= {
            "building": "storefront-dev",
            "running": build.pk,
            "failed": failed.pk,
            "dev": dev.name,
        }
        self.names |= {"releasing": "storefront-staging", "version": releasing.version}

    def _connected(self) -> None:
        """A pipeline whose code is at a host, which has sent hooks, and an app that follows a branch of it."""
        pipeline = make_pipeline("connected-harbour", owner=self.team)
        row = Repository(
            pipeline=pipeline,
            host="github",
            url="https://github.example/acme/harbour.git",
            full_name="acme/harbour",
            by=self.mara,
            heads={"main": "a" * 40},
            polled_at=timezone.now(),
        )
        row.secret = "a secret"
        row.save()
        for number in range(3):
            Receipt.objects.create(
                repository=row,
                event="push",
                delivery=str(number),
                accepted=True,
                about="main",
                caused=["Started test run 12.", "harbour-dev builds aaaaaaa of main."],
            )
        Receipt.objects.create(repository=row, accepted=False, caused=["Turned down."], times=7)
        app = make_app("harbour-dev", owner=self.team, stage=stage(pipeline, "development"))
        auto_deploys.switch_on(app, branch="main", wait_for_ci=True, path="web", by=self.mara)
        AutoDeploy.objects.update(waits=True, note="harbour-dev waits.", noted_at=timezone.now())
        self.names |= {"connected": pipeline.name, "following": app.name}
        self._reviews(pipeline, row)

    def _reviews(self, pipeline: Pipeline, repository: Repository) -> None:
        """Pull requests: one with a review app that runs, one with one that failed, a fork's, and one without."""
        review_actions.set_settings(pipeline, enabled=True, by=self.mara)
        titles = [
            "Gift-card balance in the cart",
            "Address autocomplete at checkout",
            "Product video",
            "Edge cache",
        ]
        for number, title in enumerate(titles, 471):
            fork = "stranger/harbour" if number == 473 else ""
            pull_request = PullRequest.objects.create(
                repository=repository, number=number, title=title, branch=f"branch-{number}", commit=f"{number:040x}",
                author=PEOPLE[number % len(PEOPLE)], from_fork=fork, url=f"https://github.example/pull/{number}",
            )  # fmt: skip
            if number == 474:
                continue
            (review,) = review_actions.create(pipeline, "", pull_request=pull_request, by=self.mara)
            if number == 473:
                continue
            app = make_app(f"harbour-pr-{number}", owner=self.team, released=True)
            App.objects.filter(pk=app.pk).update(ephemeral="review")
            Coupling.objects.create(app=app, stage=stage(pipeline, "review"), pipeline=pipeline)
            failed = number == 472
            setup = AppSetup.objects.create(
                app=app, by=self.mara, status="failed" if failed else "succeeded", postdeploy_code=int(failed),
                postdeploy_output="Seeding 40 products\n", finished_at=timezone.now(),
            )  # fmt: skip
            ReviewApp.objects.filter(pk=review.pk).update(
                app=app, app_name=app.name, setup=setup, state="errored" if failed else "created", status="resting",
                message="The postdeploy script exited with status 1." if failed else "",
            )  # fmt: skip
            self.names["review"] = review.pk

    def _history(self, app: App) -> None:
        app_actions.add_domain(app, "www.storefront.example", by=self.mara)
        built = create_build(app, make_source(app, message=MESSAGES[0], author=PEOPLE[0]), by=self.mara)
        _ended(built, "succeeded", release=Release.objects.current_for(app))
        source = Coupling.objects.get(app__name=LONG)
        promotion = pipeline_actions.promote(
            source, source.downstream(), by=self.mara, note="The one with the new basket"
        )
        Build.objects.filter(app=app).update(slug=app.slugs.first())
        self.names |= {
            "promotion": promotion.pk,
            "build": built.pk,
            "from": LONG,
            "domain": app.domains.get().pk,
            "certificate": _certificate(app, by=self.mara).pk,
            "webhook": _told(app, by=self.mara).pk,
            "channel": _channel(self.pipeline, by=self.mara).pk,
            "proposal": _proposal(self.pipeline, by=self.mara).pk,
            "job": _scheduled(app, by=self.mara).pk,
        }
        _watched(app, by=self.mara)
        lines = [Line(source, dyno, text.encode(), time.time()) for source, dyno, text in LINES * 30]
        logs.store().append(app.log_stream, lines)
        logs.store().append(
            built.log_stream, [Line("app", "build", b"-----> Python app detected", time.time())] * 40
        )

    def _addons(self) -> None:
        """A database that several apps share, a store on its way, and one that could not be made."""
        database = make_addon(self.us, "heroku-postgresql:standard-0", name="postgresql-curly-44102")
        Addon.objects.filter(pk=database.pk).update(message="The database is ready.")
        Attachment.objects.create(app=self.jp, addon=database, name="HEROKU_POSTGRESQL_TEAL")
        store = make_addon(self.us, "heroku-redis:premium-0", name="redis-sunny-10293", as_="REDIS")
        Addon.objects.filter(pk=store.pk).update(state="provisioning", config_keys={}, sealed_config="")
        broken = make_addon(self.us, "memcachier:dev", name="memcachier-round-55120", as_="MEMCACHIER")
        Addon.objects.filter(pk=broken.pk).update(
            state="failed", message="The disk is full. Make room first."
        )
        shared = make_shared_addon(self.pipeline, self.jp, name="postgresql-solid-70231")
        balancer = make_balancer(self.pipeline, "production", self.us, called="loadbalancer-lively-20417")
        archive = make_addon(self.us, "papertrail:fixa", name="papertrail-lively-31077", as_="PAPERTRAIL")
        for name, text in (("Lost baskets", "cart -health"), ("Mail", '"mail server"')):
            archives.save_search(archive, name, text=text, by=self.mara)
        self.names |= mailing.seed(self.us, self.jp) | {
            "shared": shared.name,
            "balancer": balancer.name,
            "addon": database.name,
            "store": store.name,
            "backup": self._backups(database),
        }

    def _flow(self) -> None:
        """A line that asks, with gates of every colour before a release, one that is held, and a freeze."""
        by, production = self.mara, stage(self.pipeline, "production")
        line = flow_actions.set_line(production, mode="ask", by=by)
        flow_actions.add_gate(line, "healthy", {"minutes": 10, "errors": 1.0}, by=by)
        smoke, _ = flow_actions.add_gate(line, "command", {"command": "bin/smoke --all"}, by=by)
        gate, _ = flow_actions.add_gate(line, "approval", {"count": 2, "roles": ["admin"]}, by=by)
        self.passage = next(one for one in passages.refresh(line) if one.source.name == LONG)
        reason = "It ended with 1: the basket is empty."
        Probe.objects.create(gate=smoke, passage=self.passage, status="failed", reason=reason)
        flow_actions.refuse(self.passage, note="The banner is missing on small screens", by=by)
        passages.look(Passage.objects.get(pk=self.passage.pk))
        held = flow_actions.set_line(stage(self.pipeline, "staging"), mode="auto", by=by)
        hold = flow_actions.hold(self.pipeline, line=held, reason="The bank migrates until six", by=by)
        freeze = flow_actions.freeze(self.pipeline, stage=production, name="Week-ends", days=[5, 6], by=by)
        self.names |= {"passage": self.passage.pk, "gate": gate.pk, "hold": hold.pk, "freeze": freeze.pk}

    def _passed(self, number: int) -> None:
        """What was before the gates once, holds that were lifted, and one more word about the passage."""
        passage, now = self.passage, timezone.now()
        source = Coupling.objects.get(app=passage.source)
        old = {"state": "superseded", "reason": "A newer release took its place.", "ended_at": now}
        Passage.objects.create(
            line=passage.line, source=source.app, slug=passage.slug, release=passage.release, **old
        )
        Hold.objects.create(pipeline=self.pipeline, reason=f"Sale {number}", by=self.mara, lifted_at=now)
        Freeze.objects.create(pipeline=self.pipeline, name=f"Sale {number}", days=[number % 7], by=self.mara)
        member = User.objects.get(pk=self.names["member"])
        Verdict.objects.create(passage=passage, user=member, approves=True, note="Fine with me")

    def _backups(self, database: Addon) -> str:
        """One that is there, one that failed, and one under way."""
        made = databases.capture(database, by=self.mara)
        done = {"status": "succeeded", "processed_bytes": 48_200_000, "proved_at": timezone.now()}
        Transfer.objects.filter(pk=made.pk).update(**done, tables=12)
        failed = databases.capture(database, by=self.mara, scheduled=True)
        Transfer.objects.filter(pk=failed.pk).update(status="failed", reason="The disk is full.")
        databases.capture(database, by=self.mara)
        return str(made.pk)

    def _account(self) -> None:
        token, _ = account_actions.create_token(self.mara, "laptop", by=self.mara)
        TOTP.activate(self.secure, generate_totp_secret())
        RecoveryCodes.activate(self.secure)
        key = {"name": "Laptop", "credential": {}}
        passkey = Authenticator.objects.create(user=self.newcomer, type="webauthn", data=key)
        self.names |= {
            "passkey": passkey.pk,
            "token": token.pk,
            "setup": account_actions.create_sign_in_link(),
        }
        _, secret = invitations.invite(self.team, "ines@elsewhere.example", "member", by=self.mara)
        question, _ = cli_sign_in.ask("heroku-cli on Mara's laptop", address="127.0.0.1")
        self.names |= {"invitation": secret, "cli": question.pk}
        client, _ = oauth.create_client("Release bot", "https://bot.example.com/slipway/back", by=self.mara)
        asked = oauth.question({"client_id": str(client.pk), "response_type": "code", "scope": "read"})
        code = oauth.consent(asked, by=self.mara)
        client_secret = oauth.rotate_client(client, by=self.mara)
        oauth.exchange(code, client_id="", secret=client_secret, verifier="", redirect_uri="")
        self.names |= {"client": client.pk}

    def _usage(self) -> None:
        """Two months of it, and a budget that is nearly used up."""
        meters.settle_all()
        now = timezone.now()
        Meter.objects.update(since=now.replace(day=1) - datetime.timedelta(days=20))
        meters.cut()
        budgets.set_budget(self.team, "200", by=self.mara)

    def _traffic(self) -> None:
        """Half a day of requests: a slow hour, some minutes of errors, and a crash."""
        now = timezone.now().replace(second=0, microsecond=0)
        rows = []
        for ago in range(1, 12 * 60):
            spread = [0] * (len(BOUNDS) + 1)
            count = int(60 + 30 * math.sin(ago / 90))
            slow = 4 if 200 < ago < 260 else 0
            for place, share in ((4, 30), (5, 40), (7, 20), (9, 8), (10 + slow, 2)):
                spread[place + slow // 2] += count * share // 100
            errors = count // 9 if 215 < ago < 240 else 0
            row = Traffic(app=self.us, minute=now - datetime.timedelta(minutes=ago), release_version=2)
            row.requests, row.errors, row.spread = sum(spread), errors, spread
            rows.append(row)
        Traffic.objects.bulk_create(rows)
        crash = Crash.objects.create(
            app=self.us, release_version=2, dyno="web.2", exit_code=137, reason="R15"
        )
        Crash.objects.filter(pk=crash.pk).update(at=now - datetime.timedelta(minutes=230))
        for ago, dyno, before, state, reason in DYNO_EVENTS:
            DynoEvent.objects.create(
                app=self.us,
                release_version=2,
                dyno=dyno,
                before=before,
                state=state,
                reason=reason,
                at=now - datetime.timedelta(minutes=ago),
            )

    def grow(self, rows: int) -> None:
        """Have at least `rows` of everything that a page lists."""
        for number in range(rows):  # while the pipeline shares little, which each of them gets
            self._app(number)
        for number in range(rows):
            self._person(number)
            self._passed(number)
            make_pipeline(f"pipeline-{next(_numbers)}", owner=self.team)
            account_actions.create_team(f"team-{next(_numbers)}", by=self.mara)
            account_actions.create_token(self.mara, f"script {number}", by=self.mara)
            _deploy(self.us, number)
            built = create_build(
                self.us,
                make_source(self.us, message=MESSAGES[number % 6], author=PEOPLE[number % 6]),
                by=self.mara,
            )
            _ended(built, "succeeded")
            app_actions.add_domain(self.us, f"shop-{next(_numbers)}.example.com", by=self.mara)
            make_addon(self.us, "heroku-postgresql:mini", as_=f"DB_{next(_numbers)}")
            make_shared_addon(self.pipeline, self.jp, as_=f"SHARED_{next(_numbers)}")
            _dyno(self.us, "web", number + 10)
            Alert.objects.create(
                app=self.us, kind="errors", bound=number, minutes=next(_numbers), by=self.mara
            )
            scheduler_actions.add_job(self.us, f"rake job-{number}", schedule="0 * * * *", by=self.mara)
            _dyno(self.us, "run", next(_numbers), one_off=True, state="down", by=self.mara, exit_code=0)
        set_config(self.us, {f"SETTING_{next(_numbers)}": "value" for _ in range(rows)}, by=self.mara)
        Release.objects.filter(app=self.us, status="pending").update(
            status="succeeded", finished_at=timezone.now()
        )
        Formation.objects.filter(app=self.us, type="web").update(quantity=min(rows, 60))
        meters.settle_all()

    def _person(self, number: int) -> None:
        name = PEOPLE[number % len(PEOPLE)]
        member = make_user(f"{name.split()[0].lower()}{next(_numbers)}@acme.example", PASSWORD, name=name)
        account_actions.set_role(self.team, member, "member" if number % 2 else "viewer", by=self.mara)
        app_actions.share(self.us, member, ["view", "deploy"], by=self.mara)
        self.names["member"] = member.pk

    def _app(self, number: int) -> None:
        app = make_app(
            f"storefront-{next(_numbers)}", owner=self.team, stage=stage(self.pipeline, "production")
        )
        _deployed(app, 1)
        make_app(f"tool-{next(_numbers)}", owner=self.team, released=True)


def sign_in(client: Client, user: User) -> str:
    """Sign `user` in as a password just given would; returns the key of the session."""
    client.force_login(user)
    request = RequestFactory().get("/")
    request.session = session = client.session
    record_authentication(request, user, method="password", reauthenticated=True)
    session.save()
    return str(session.session_key)


def _pipeline(team: Team) -> Pipeline:
    pipeline = make_pipeline("acme-storefront", owner=team)
    by = team.members.first()
    assert by is not None
    staging = Stage.objects.get(pipeline=pipeline, name="staging")
    pipeline_actions.add_stage(pipeline, "canary", word="staging", after=staging, by=by)
    return pipeline


def _slug(app: App, number: int = 0) -> Any:
    return make_slug(
        app,
        message=MESSAGES[number % 6],
        author=PEOPLE[number % 6],
        branch="main",
        process_types={
            "web": "gunicorn shop.wsgi",
            "worker": "python manage.py work",
            "release": "python manage.py migrate",
        },
    )


def _deploy(app: App, number: int) -> Release:
    return make_release(app, by=app.team.members.first() if app.team else app.user, slug=_slug(app, number))


def _deployed(app: App, releases: int) -> None:
    for number in range(releases):
        _deploy(app, number)
    Formation.objects.filter(app=app, type="web").update(quantity=2)
    for number in (1, 2):
        _dyno(app, "web", number)


def _watched(app: App, *, by: User) -> None:
    """With an alert that is on, and one that is not."""
    alert = alerts.add(app, "response", 800, by=by)
    alerts.add(app, "log", 1, text='"Error R14"', minutes=60, by=by)
    alerts.note(alert, "p95 912 ms")


def _scheduled(app: App, *, by: User) -> ScheduledJob:
    job = scheduler_actions.add_job(
        app, "python manage.py clearsessions", schedule="30 5 * * 1-5", zone="Europe/Berlin", by=by
    )
    at = timezone.now()
    for number, (status, reason) in enumerate(
        [
            ("succeeded", ""),
            ("failed", "It exited with status 3."),
            ("skipped", "The last run goes on still."),
        ]
    ):
        due = at - datetime.timedelta(days=number + 1)
        finished = due + datetime.timedelta(seconds=12)
        name = "" if status == "skipped" else f"scheduler.{4000 + number}"
        job.runs.create(
            due_at=due, started_at=due, finished_at=finished, status=status, reason=reason, dyno_name=name
        )
    scheduler_actions.add_job(app, "bin/send-digest --all", schedule="*/10 * * * *", by=by)
    return job


def _dyno(app: App, type: str, number: int, *, state: str = "up", **extra: Any) -> Dyno:
    version = Release.objects.get(app=app, current=True).version
    return Dyno.objects.create(
        app=app,
        type=type,
        number=number,
        command="gunicorn shop.wsgi",
        release_version=version,
        state=state,
        **extra,
    )


def _crash(app: App) -> None:
    reason = "It did not listen on $PORT within 60 s"
    Dyno.objects.filter(app=app).update(state="crashed", exit_code=1, crashes=4, reason=reason)


def _begun(model: Any, job: Any, steps: list[dict[str, Any]]) -> None:
    at = timezone.now() - datetime.timedelta(seconds=48)
    model.objects.filter(pk=job.pk).update(
        status="running",
        started_at=at,
        finished_at=None,
        steps=[{"at": at.isoformat(), **step} for step in steps],
    )


def _proposal(pipeline: Pipeline, *, by: User) -> Proposal:
    return Proposal.objects.create(
        pipeline=pipeline,
        commit=f"{next(_numbers):040x}",
        branch="main",
        message=MESSAGES[2],
        author=PEOPLE[0],
        by=by,
        text="ci: {on_push: true}\n",
        status="ended",
        state="offered",
        changes=["CI: on push from no to yes"],
    )


def _channel(pipeline: Pipeline, *, by: User, name: str = "#releases") -> Channel:
    return notice_actions.add_channel(
        pipeline, name=name, kind="slack", address="https://chat.example.com/x", events=events.USUAL, by=by
    )


def _told(app: App, *, by: User) -> Webhook:
    """A log drain, and a webhook with news."""
    drains.add_drain(app, "syslog+tls://logs.invalid:6514", by=by)
    hook = add_webhook(app, include=["api:app"], level="sync", url="https://hooks.invalid/x", by=by)
    app_actions.set_maintenance(app, True, by=by)
    app_actions.set_maintenance(app, False, by=by)
    return hook


def _certificate(app: App, *, by: User) -> Certificate:
    issued = leaf("www.storefront.example", "storefront.example", days=21)
    return certificates.add_certificate(app, issued.chain, issued.key_pem, by=by)


def _ended(build: Build, status: str, **extra: Any) -> None:
    now = timezone.now()
    steps = [{"name": name, "at": now.isoformat(), "seconds": 4.2} for name in ("fetch source", "compile")]
    Build.objects.filter(pk=build.pk).update(
        status=status, started_at=now - datetime.timedelta(seconds=41), finished_at=now, steps=steps, **extra
    )
