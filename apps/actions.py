"""What happens to apps. What makes a release (config, rollback …) is in `releases.actions`."""

import re
import secrets as random
from collections.abc import Sequence

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max
from django.utils import timezone

from accounts import transfers
from accounts.access import RIGHTS, demand_not_suspended
from accounts.models import Membership, Team, User
from apps import certificates, limits
from apps.models import TEST, App, AppTransfer, Certificate, Collaborator, Domain, Dyno
from apps.scaling import MAX_DYNOS as MAX_DYNOS
from apps.scaling import check_start as check_start
from apps.scaling import scale as scale
from core import activity, live, names
from core.errors import Forbidden, NotFound, Refusal

SLOT_TRIES = 20  # of apps that are made at the same moment
MAX_COMMAND = 500  # characters of a build command
_WORDS = [
    "amber",
    "brisk",
    "calm",
    "deep",
    "fair",
    "gentle",
    "keen",
    "lively",
    "mellow",
    "north",
    "quiet",
    "swift",
    "tidal",
    "upper",
    "vivid",
    "warm",
]
_THINGS = [
    "anchor",
    "bay",
    "buoy",
    "channel",
    "cove",
    "deck",
    "harbor",
    "inlet",
    "jetty",
    "keel",
    "lagoon",
    "mast",
    "pier",
    "reef",
    "sail",
    "wharf",
]


def create_app(name: str | None, *, owner: User | Team, by: User | None, ephemeral: str = "") -> App:
    """Make an app; without a name it gets a free one. One that is `ephemeral` for a test run counts against no limit
    on apps: it is gone before long."""
    name = names.check_app(name) if name else _free_name()
    for last in (*[False] * SLOT_TRIES, True):
        try:
            with transaction.atomic():
                return _create_app(name, owner, by, ephemeral)
        except IntegrityError as error:
            # Somebody may have taken the slot at the same moment, which says nothing about the name.
            if last or App.objects.filter(name=name).exists():
                raise names.taken(name) from error
    raise AssertionError("The last try returns or raises.")


def _create_app(name: str, owner: User | Team, by: User | None, ephemeral: str) -> App:
    demand_not_suspended(owner)
    if ephemeral != TEST:
        limits.demand_apps(owner)
    slot = (App.objects.aggregate(top=Max("slot"))["top"] or 0) + 1
    app = App.objects.create(name=name, slot=slot, ephemeral=ephemeral, **App.owner_fields(owner))
    activity.record(by, "created", app)
    return app


def rename_app(app: App, name: str, *, by: User) -> App:
    """Change the name, and with it the host name and the git address."""
    names.check_app(name)
    before = app.name
    try:
        with transaction.atomic():
            App.objects.filter(pk=app.pk).update(name=name, updated_at=timezone.now())
            app.name = name
            activity.record(by, "renamed", app, before=before, after=name)
            _changed(app)
    except IntegrityError as error:
        app.name = before
        raise names.taken(name) from error
    return app


@transaction.atomic
def destroy_app(app: App, *, confirm: str, by: User | None) -> None:
    """Take the app away, for good: `confirm` must be its name. The conductor stops its dynos and clears its data."""
    if confirm != app.name:
        raise Refusal(
            f"To destroy {app.name}, type its name.",
            id="confirmation_required",
            fields={"confirm": f"Type {app.name} to confirm."},
        )
    App.objects.filter(pk=app.pk).update(destroyed_at=timezone.now())
    activity.record(by, "destroyed", app)
    _changed(app)


@transaction.atomic
def transfer_app(app: App, owner: User | Team, *, by: User) -> App:
    """Hand the app to another owner, within that one's limits. A suspended app stays where it is. Offers of it end, and
    so does its lock where a person gets it: nobody but a team has members to lock out. What had been shared with that
    person is theirs now, and not shared any more."""
    demand_not_suspended(app, owner)
    limits.demand_room([app], owner=owner)
    before = str(app.owner)
    for field, value in App.owner_fields(owner).items():
        setattr(app, field, value)
    app.locked = app.locked and isinstance(owner, Team)
    app.save(update_fields=["user", "team", "locked", "updated_at"])
    transfers.withdraw_open(AppTransfer, app=app)
    if isinstance(owner, User):
        Collaborator.objects.filter(app=app, user=owner).delete()
    activity.record(by, "transferred", app, before=before, after=str(owner))
    _changed(app)
    return app


@transaction.atomic
def set_maintenance(app: App, on: bool, *, by: User) -> App:
    """Show visitors the maintenance page, or the app again."""
    App.objects.filter(pk=app.pk).update(maintenance=on, updated_at=timezone.now())
    app.maintenance = on
    activity.record(by, "turned maintenance " + ("on for" if on else "off for"), app)
    _changed(app)
    return app


@transaction.atomic
def set_health_path(app: App, path: str, *, by: User) -> App:
    """Choose the path that must answer below 400 before a new web dyno gets traffic; empty: the port is enough."""
    check_health_path(path)
    before, app.health_path = app.health_path, path
    App.objects.filter(pk=app.pk).update(health_path=path)
    activity.record(by, "set the health path of", app, before=before, after=path)
    return app


def plain_buildpack(text: str) -> str:
    """A buildpack as it is stored: Heroku's registry and the CLI write `heroku/python` in longer forms."""
    text = text.strip().removeprefix("urn:buildpack:")
    found = re.fullmatch(
        r"https://buildpack-registry\.s3\.amazonaws\.com/buildpacks/([\w.-]+/[\w.-]+)\.tgz", text
    )
    return found[1] if found else text


@transaction.atomic
def set_buildpacks(app: App, buildpacks: Sequence[str], *, by: User) -> App:
    """Choose the buildpacks of the next build, in order; none: they are detected."""
    check_buildpacks(buildpacks)
    before, app.buildpacks = app.buildpacks, [plain_buildpack(text) for text in buildpacks]
    App.objects.filter(pk=app.pk).update(buildpacks=app.buildpacks)
    activity.record(by, "set the buildpacks of", app, before=before, after=app.buildpacks)
    return app


@transaction.atomic
def set_build_command(app: App, command: str, *, by: User) -> App:
    """Have the next build run `command` after its buildpacks; empty: nothing."""
    before, command = app.build_command, check_build_command(command)
    if command == before:
        return app
    App.objects.filter(pk=app.pk).update(build_command=command, updated_at=timezone.now())
    app.build_command = command
    activity.record(by, "set the build command of", app, before=before, after=command)
    _changed(app)
    return app


def check_build_command(command: str) -> str:
    """The command without blanks around it; `Refusal` for what is none."""
    command = command.strip()
    if len(command) > MAX_COMMAND or any(c in command for c in "\0\r\n"):
        text = f"A build command is one line of {MAX_COMMAND} characters at most. Put more into a script."
        raise Refusal(text, fields={"build_command": text})
    return command


def check_health_path(path: str) -> None:
    """`Refusal` for what can't be a health path; an empty one can."""
    if path and not re.fullmatch(r"/[!-~]{0,198}", path):
        raise Refusal(
            "A health path starts with / and has no spaces.", fields={"health_path": "Start with /."}
        )


def check_buildpacks(buildpacks: Sequence[str]) -> None:
    """`Refusal` for what can't be a list of buildpacks; an empty one can."""
    if len(buildpacks) > 20 or not all(re.fullmatch(r"[!-~]{1,500}", b) for b in buildpacks):
        text = "Give up to 20 buildpacks, each a name or a URL: no spaces, 500 characters at most."
        raise Refusal(text, fields={"buildpacks": text})


@transaction.atomic
def restart(app: App, *, dyno: str | None = None, by: User | None) -> None:
    """Replace all dynos, those of one type (`web`) or one (`web.1`) by fresh ones; new web dynos answer first."""
    demand_not_suspended(app)
    chosen = Dyno.objects.filter(app=app, one_off=False)
    if dyno:
        type, _, number = dyno.partition(".")
        chosen = chosen.filter(type=type, **({"number": int(number)} if number.isdecimal() else {}))
        if not chosen.exists():
            raise NotFound(f"{app.name} has no dyno {dyno}.", resource="dyno")
    chosen.update(generation=F("generation") + 1, crashes=0, start_after=None)
    activity.record(by, "restarted", app, dyno=dyno or "all")
    _changed(app)


@transaction.atomic
def stop_dyno(app: App, dyno: str, *, by: User) -> None:
    """Stop a one-off dyno. A dyno of the formation is replaced by a fresh one: scale to have fewer."""
    type, _, number = dyno.partition(".")
    if not number.isdecimal():
        restart(app, dyno=dyno, by=by)
        return
    if Dyno.objects.filter(app=app, type=type, number=int(number), one_off=True).update(stop_asked=True):
        activity.record(by, "stopped", app, dyno=dyno)
        _changed(app)
    else:
        restart(app, dyno=dyno, by=by)


@transaction.atomic
def add_domain(app: App, hostname: str, *, by: User, certificate: Certificate | None = None) -> Domain:
    """Have `hostname` reach the app as well; `*.example.com` is every name below that has no domain of its own.
    It answers with `certificate`, else with the only one of the app that covers it."""
    hostname = names.check_hostname(hostname)
    _demand_free(app, hostname)
    certificates.demand_fitting(app, hostname, certificate)
    chosen = certificate or certificates.fitting(app, hostname)
    domain = Domain.objects.create(app=app, hostname=hostname, certificate=chosen)
    activity.record(by, "added", domain, app=app, certificate=str(chosen or ""))
    _changed(app)
    return domain


def _demand_free(app: App, hostname: str) -> None:
    """`Refusal` for names of the platform, of an app, and for what another owner's wildcard covers or would be
    covered: their visitors are not ours."""
    own = {settings.HOST.lower(), settings.APPS_HOST.lower(), "localhost"}
    if hostname in own or any(
        hostname.endswith(f".{name}") for name in (settings.APPS_HOST.lower(), "localhost")
    ):
        raise Refusal(
            f"Names under {settings.APPS_HOST} are the platform's own.",
            fields={"hostname": "Choose another."},
        )
    above = "*." + hostname.partition(".")[2]
    near = Domain.objects.filter(hostname__in=[hostname, above])
    if hostname.startswith("*."):
        pattern = rf"^[^.]+\.{re.escape(hostname.removeprefix('*.'))}$"
        near |= Domain.objects.filter(hostname__regex=pattern)
    for other in near.select_related("app"):
        if other.hostname == hostname or (other.app.user_id, other.app.team_id) != (app.user_id, app.team_id):
            raise Refusal(
                f"{other.hostname} is in use by an app.", fields={"hostname": "This domain is in use."}
            )


@transaction.atomic
def remove_domain(domain: Domain, *, by: User) -> None:
    """Stop answering for a custom domain."""
    activity.record(by, "removed", domain, app=domain.app)
    app = domain.app
    domain.delete()
    _changed(app)


@transaction.atomic
def share(app: App, user: User, rights: Sequence[str], *, by: User) -> Collaborator:
    """Give `user` rights in the app, replacing those they had as a collaborator; viewing always comes along."""
    if not set(rights) <= set(RIGHTS):
        raise Refusal(f"Rights are {', '.join(RIGHTS)}.", fields={"rights": "No such right."})
    if user == app.user:
        raise Refusal(f"{app.name} is {user.email}'s own: they may do everything in it.")
    wanted = [right for right in RIGHTS if right in {*rights, "view"}]
    before = Collaborator.objects.filter(app=app, user=user).values_list("rights", flat=True).first()
    collaborator, _ = Collaborator.objects.update_or_create(app=app, user=user, defaults={"rights": wanted})
    activity.record(by, "shared", app, with_=user.email, rights=wanted, before=before)
    live.tell(f"user:{user.pk}")
    return collaborator


@transaction.atomic
def unshare(collaborator: Collaborator, *, by: User) -> None:
    """Take a collaborator's rights away, at once."""
    activity.record(by, "stopped sharing", collaborator.app, with_=collaborator.user.email)
    live.tell(f"user:{collaborator.user_id}")
    collaborator.delete()


@transaction.atomic
def set_locked(app: App, on: bool, *, by: User) -> App:
    """Lock a team's app: its members only view it, but for those who have joined it or whom it is shared with. Or
    let all of them in again."""
    if app.team is None:
        raise Refusal(f"{app.name} belongs to a person: only a team's app can be locked.")
    App.objects.filter(pk=app.pk).update(locked=on, updated_at=timezone.now())
    app.locked = on
    activity.record(by, "locked" if on else "unlocked", app)
    for member in app.team.memberships.values_list("user_id", flat=True):
        live.tell(f"user:{member}")
    live.tell(app.topic)
    return app


@transaction.atomic
def join(app: App, *, by: User) -> Collaborator:
    """Have a member of the app's team join it: what their role gives stays theirs when it is locked. The row gives no
    rights of its own, so that it is worth nothing to who leaves the team. `Forbidden` once it is locked."""
    found = Collaborator.objects.filter(app=app, user=by).first()
    if found is not None:
        return found
    locked = App.objects.select_for_update().values_list("locked", flat=True).get(pk=app.pk)
    role = Membership.objects.filter(team=app.team_id, user=by).values_list("role", flat=True).first()
    if locked and role != Membership.Role.ADMIN:
        raise Forbidden(f"{app.name} is locked. Ask someone who manages it to share it with you.")
    collaborator = Collaborator.objects.create(app=app, user=by, rights=[])
    activity.record(by, "joined", app)
    return collaborator


def _free_name() -> str:
    while True:
        name = f"{random.choice(_WORDS)}-{random.choice(_THINGS)}-{random.randbelow(90000) + 10000}"
        if not App.objects.filter(name=name).exists():
            return name


def _changed(app: App) -> None:
    live.tell(app.topic)
    live.wake_conductor()
