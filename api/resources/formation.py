"""Formation and dynos."""

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import Field

from accounts.access import demand
from accounts.models import User
from api.asker import asker
from api.http import is_first_page, ranged
from api.shapes.dynos import DynoOut, FormationOut
from apps import access, actions, one_offs
from apps.models import App, Formation
from core.errors import NotFound, Refusal
from pipelines.access import demand_config
from releases import images
from releases.images import RELEASE
from releases.models import Release

router = Router(tags=["Dynos"])
QUANTITY_LENGTH = 6  # of the text


class SizeIn(Schema):
    """A dyno size by name."""

    name: str


class ScaleIn(Schema):
    """How many, of what size; what is absent stays."""

    quantity: int | str | None = None
    size: str | None = None
    dyno_size: SizeIn | str | None = None
    docker_image: str | None = None  # one that was pushed, by id; null takes the process type away

    @property
    def releases(self) -> bool:
        """Whether it is about an image."""
        return "docker_image" in self.model_fields_set

    @property
    def scales(self) -> bool:
        """Whether it is about dynos."""
        return not self.releases or bool(self.model_fields_set & {"quantity", "size", "dyno_size"})

    def change(self, now: int) -> dict[str, Any]:
        """For `actions.scale`. A quantity may be relative (`"+1"`)."""
        size = self.dyno_size.name if isinstance(self.dyno_size, SizeIn) else self.dyno_size or self.size
        return {"quantity": _quantity(self.quantity, now), "size": size}


class TypeIn(ScaleIn):
    """One process type's change."""

    type: str


class FormationIn(Schema):
    """Changes to several process types, made together."""

    updates: list[TypeIn] = Field(max_length=100)


class CommandIn(Schema):
    """A command, and variables of its own."""

    command: str
    env: dict[str, str | int | None] | None = None  # the CLI sends COLUMNS and LINES as numbers
    force_no_tty: bool | None = None

    def variables(self) -> dict[str, str] | None:
        """Its own variables, as text; none of those that are null."""
        return (
            {name: str(value) for name, value in self.env.items() if value is not None} if self.env else None
        )


class DynoIn(CommandIn):
    """A command to run once."""

    attach: bool = False
    size: str | None = None
    type: str | None = None
    time_to_live: int | None = None


@router.get("/apps/{app}/formation", response={200: list[FormationOut], 206: list[FormationOut]})
def index(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[FormationOut]]:
    """The process types of the current release, with quantity and size."""
    found = access.app_for(asker(request), app)
    commands = _commands(found)
    rows = found.formation.select_related("app").filter(type__in=commands)
    answer = ranged(
        request, response, rows, lambda row: FormationOut.of(row, commands), by="type", fields=["id"]
    )
    phase = _release_phase(found)
    if phase and is_first_page(request):
        answer.value.append(phase)
    return answer


@router.patch("/apps/{app}/formation", response=list[FormationOut])
def scale(request: HttpRequest, app: str, body: FormationIn) -> list[FormationOut]:
    """Scale several process types at once, or release images that were pushed for them."""
    by = asker(request)
    found = access.app_for(by, app)
    updates = {update.type: update for update in body.updates}
    phase = _release_phase(found)
    if phase and RELEASE in updates and not updates[RELEASE].releases:
        _demand_as_it_is(phase, updates.pop(RELEASE), alone=not updates)
    else:
        phase = None
    _change(found, updates, by)
    rows = {row.type: row for row in found.formation.select_related("app")}
    answer = _shapes(found, [rows[type] for type in updates if type in rows])
    return [*answer, phase] if phase else answer


@router.get("/apps/{app}/formation/{type}", response=FormationOut)
def info(request: HttpRequest, app: str, type: str) -> FormationOut:
    """One process type, by name or id."""
    found = access.app_for(asker(request), app)
    phase = _release_phase(found)
    if phase and type in (RELEASE, str(phase.id)):
        return phase
    return _shapes(found, [_row(found, type)])[0]


@router.patch("/apps/{app}/formation/{type}", response=FormationOut)
def scale_one(request: HttpRequest, app: str, type: str, body: ScaleIn) -> FormationOut:
    """Scale one process type, release an image that was pushed for it, or take it away."""
    by = asker(request)
    found = access.app_for(by, app)
    if type == RELEASE and body.releases:
        _change(found, {type: body}, by)
        return FormationOut.of_release_phase(found, "")
    phase = _release_phase(found)
    if phase and type in (RELEASE, str(phase.id)):
        _demand_as_it_is(phase, body, alone=True)
    row = _row(found, type)
    _change(found, {row.type: body}, by)
    return _shapes(found, [_row(found, row.type)])[0]


@router.get("/apps/{app}/dynos", response={200: list[DynoOut], 206: list[DynoOut]})
def dynos(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[DynoOut]]:
    """The app's dynos; one-off dynos that have ended are not listed."""
    found = access.app_for(asker(request), app)
    releases = {release.version: release for release in found.releases.only("id", "version")}
    rows = found.dynos.select_related("app").exclude(one_off=True, state="down")
    return ranged(request, response, rows, lambda dyno: DynoOut.of(dyno, releases.get(dyno.release_version)))


@router.post("/apps/{app}/dynos", response={201: DynoOut})
def run(request: HttpRequest, app: str, body: DynoIn) -> Status[DynoOut]:
    """Run a command in a one-off dyno. Its output goes to who attaches to it, without `attach` to the app's log."""
    by = asker(request)
    found = access.app_for(by, app, to=access.DEPLOY)
    demand_config(by, found)
    current = Release.objects.current_for(found)
    if current is None or current.slug is None:
        raise Refusal(f"{found.name} has not been deployed yet: there is no code to run.")
    options: dict[str, Any] = {
        "release_version": current.version,
        "by": by,
        "size": body.size or "standard-1x",
        "env": body.variables(),
        "time_to_live": body.time_to_live,
        "type": body.type or "run",
    }
    if not body.attach:
        return Status(201, DynoOut.of(one_offs.run_detached(found, body.command, **options), current))
    dyno, secret = one_offs.run_attached(found, body.command, tty=not body.force_no_tty, **options)
    answer = DynoOut.of(dyno, current)
    answer.attach_url = f"rendezvous://{settings.RENDEZVOUS}/{secret}"
    return Status(201, answer)


class InsideOut(Schema):
    """Where to attach to the command."""

    attach_url: str


@router.post("/apps/{app}/dynos/{ref}", response={201: InsideOut})
def run_inside(request: HttpRequest, app: str, ref: str, body: CommandIn) -> Status[InsideOut]:
    """Run a command inside a dyno that runs: as its user, among its files, and until it ends."""
    by = asker(request)
    found = access.app_for(by, app, to=access.DEPLOY)
    demand_config(by, found)
    host = one_offs.newest(found, ref)
    _, secret = one_offs.run_inside(
        found, host, body.command, by=by, tty=not body.force_no_tty, env=body.variables()
    )
    return Status(201, InsideOut(attach_url=f"rendezvous://{settings.RENDEZVOUS}/{secret}"))


@router.get("/apps/{app}/dynos/{ref}", response=DynoOut)
def dyno(request: HttpRequest, app: str, ref: str) -> DynoOut:
    """One dyno, by name or id."""
    found = access.app_for(asker(request), app)
    newest = one_offs.newest(found, ref)
    return DynoOut.of(newest, Release.objects.filter(app=found, version=newest.release_version).first())


@router.delete("/apps/{app}/dynos", response={202: dict[str, Any]})
def restart_all(request: HttpRequest, app: str) -> Status[dict[str, Any]]:
    """Restart every dyno of the formation."""
    return _restart(request, app, None)


@router.delete("/apps/{app}/dynos/{ref}", response={202: dict[str, Any]})
def restart_one(request: HttpRequest, app: str, ref: str) -> Status[dict[str, Any]]:
    """Restart one dyno, or those of a process type."""
    return _restart(request, app, ref)


@router.delete("/apps/{app}/formations/{ref}", response={202: dict[str, Any]})
def restart_type(request: HttpRequest, app: str, ref: str) -> Status[dict[str, Any]]:
    """Restart the dynos of a process type."""
    return _restart(request, app, ref)


@router.post("/apps/{app}/dynos/{ref}/actions/stop", response={202: dict[str, Any]})
def stop(request: HttpRequest, app: str, ref: str) -> Status[dict[str, Any]]:
    """Stop a one-off dyno; a dyno of the formation is replaced."""
    by = asker(request)
    actions.stop_dyno(access.app_for(by, app, to=access.OPERATE), ref, by=by)
    return Status(202, {})


@router.post("/apps/{app}/formations/{ref}/actions/stop", response={202: dict[str, Any]})
def stop_type(request: HttpRequest, app: str, ref: str) -> Status[dict[str, Any]]:
    """Replace the dynos of a process type."""
    return stop(request, app, ref)


def _change(app: App, updates: Mapping[str, ScaleIn], by: User) -> None:
    """All of it or nothing."""
    rights = access.rights_at_hand(by, app)
    brought = {type: update for type, update in updates.items() if update.releases}
    scaled = {type: update for type, update in updates.items() if update.scales}
    if brought:
        demand(rights, access.DEPLOY, what="app", resource="app", name=app.name)
    if scaled or not brought:
        demand(rights, access.OPERATE, what="app", resource="app", name=app.name)
    found = {
        type: None if update.docker_image is None else images.find(app, type, update.docker_image)
        for type, update in brought.items()
    }
    now = dict(app.formation.values_list("type", "quantity"))
    with transaction.atomic():
        if found:
            images.release(app, found, by=by)
        if scaled or not found:
            actions.scale(app, {type: u.change(now.get(type, 0)) for type, u in scaled.items()}, by=by)


def _release_phase(app: App) -> FormationOut | None:
    """The release phase of the current release, which is listed among the process types and never scaled."""
    current = Release.objects.current_for(app)
    if current is None or not current.release_command:
        return None
    return FormationOut.of_release_phase(app, current.release_command)


def _demand_as_it_is(phase: FormationOut, update: ScaleIn, *, alone: bool) -> None:
    """Raise a `Refusal` when somebody scales the release phase. Who names it beside other process types gives all that
    are listed the same size, as `heroku ps:type basic` does: that is for the others."""
    if alone or update.change(0)["quantity"]:
        raise Refusal(
            f"The release phase is not scaled: each release runs it once, as {phase.size}. To change what it does, "
            "push another Procfile."
        )


def _restart(request: HttpRequest, app: str, dyno: str | None) -> Status[dict[str, Any]]:
    by = asker(request)
    actions.restart(access.app_for(by, app, to=access.OPERATE), dyno=dyno, by=by)
    return Status(202, {})


def _quantity(asked: int | str | None, now: int) -> int | None:
    if asked is None or isinstance(asked, int):
        return asked
    if not re.fullmatch(r"[+-]?\d+", asked, re.ASCII):
        raise Refusal(f"A quantity is a number, or one with a sign; “{asked[:20]}” is neither.")
    if len(asked) > QUANTITY_LENGTH:
        raise Refusal(f"{asked[:20]} dynos are too many: an app can have {actions.MAX_DYNOS} at most.")
    return now + int(asked) if asked[0] in "+-" else int(asked)


def _row(app: App, ref: str) -> Formation:
    row = next((row for row in app.formation.select_related("app") if ref in (row.type, str(row.pk))), None)
    if row is None:
        raise NotFound("Couldn't find that process type.", resource="formation")
    return row


def _commands(app: App) -> dict[str, str]:
    current = Release.objects.current_for(app)
    types = current.process_types if current else {}
    return {type: command for type, command in types.items() if type != "release"}


def _shapes(app: App, rows: list[Formation]) -> list[FormationOut]:
    commands = _commands(app)
    return [FormationOut.of(row, commands) for row in rows]
