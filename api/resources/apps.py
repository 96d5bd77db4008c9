"""Apps, their domains, collaborators and buildpacks."""

from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import Field

from accounts import access as account_access
from accounts.models import User
from api.asker import asker
from api.http import is_first_page, ranged
from api.resources.catalog import demand_region, stack_name
from api.shapes.apps import AppOut, TeamAppOut, with_current
from api.shapes.domains import DomainOut
from api.shapes.people import CollaboratorOut
from api.shapes.releases import BuildpackOut
from apps import access, actions, certificates, stacks, transfers
from apps.models import App, Collaborator, Domain
from core.errors import NotFound, Refusal
from core.names import as_id
from releases.actions import purge_cache as purge

router = Router(tags=["Apps"])
APPS = {200: list[AppOut], 206: list[AppOut]}
TEAM_APPS = {200: list[TeamAppOut], 206: list[TeamAppOut]}


class AppIn(Schema):
    """A new app."""

    name: str | None = None
    region: str | None = None
    space: str | None = None
    stack: str | None = None
    team: str | None = None
    personal: bool | None = None
    locked: bool | None = None


NOTHING = AppIn()


class AppChange(Schema):
    """What of an app can be changed; what is absent stays."""

    name: str | None = None
    maintenance: bool | None = None
    build_stack: str | None = None


@router.get("/apps", response=APPS)
def index(request: HttpRequest, response: HttpResponse) -> Status[list[AppOut]]:
    """Every app that the asker may view."""
    return ranged(
        request, response, with_current(access.apps_for(asker(request))), AppOut.of, fields=["name"]
    )


class FilterIn(Schema):
    """Ids to pick out."""

    id: list[UUID] = Field(max_length=1000)


class AppFilter(Schema):
    """Which apps: `{"in": {"id": […]}}`."""

    in_: FilterIn = Field(alias="in")


@router.post("/filters/apps", response=TEAM_APPS)
def pick(request: HttpRequest, response: HttpResponse, body: AppFilter) -> Status[list[TeamAppOut]]:
    """Those of the named apps that the asker may view."""
    rows = with_current(access.apps_for(asker(request)).filter(pk__in=body.in_.id))
    return ranged(request, response, rows, TeamAppOut.of)


@router.get("/users/{ref}/apps", response=APPS)
def of_user(request: HttpRequest, response: HttpResponse, ref: str) -> Status[list[AppOut]]:
    """The asker's own apps and those shared with them, without the teams'."""
    if ref.lower() not in ("~", asker(request).email, str(asker(request).pk)):
        raise NotFound("Couldn't find that user.", resource="user")
    rows = with_current(access.apps_for(asker(request))).filter(team__isnull=True)
    return ranged(request, response, rows, AppOut.of, fields=["name"])


@router.get("/teams/{team}/apps", response=TEAM_APPS)
def of_team(request: HttpRequest, response: HttpResponse, team: str) -> Status[list[TeamAppOut]]:
    """The apps of a team."""
    rows = with_current(App.objects.alive().listed()).filter(
        team=account_access.team_for(asker(request), team)
    )
    return ranged(request, response, rows, TeamAppOut.of, fields=["name"])


@router.post("/apps", response={201: AppOut})
def create(request: HttpRequest, body: AppIn = NOTHING) -> Status[AppOut]:
    """Make an app of the asker's own."""
    return Status(201, AppOut.of(_create(request, body, None)))


@router.post("/teams/apps", response={201: TeamAppOut})
def create_in_team(request: HttpRequest, body: AppIn) -> Status[TeamAppOut]:
    """Make an app that belongs to a team."""
    return Status(201, TeamAppOut.of(_create(request, body, body.team)))


@router.get("/apps/{app}", response=AppOut)
def info(request: HttpRequest, app: str) -> AppOut:
    """One app."""
    return AppOut.of(access.app_for(asker(request), app))


@router.get("/teams/apps/{app}", response=TeamAppOut)
def info_in_team(request: HttpRequest, app: str) -> TeamAppOut:
    """One app."""
    return TeamAppOut.of(access.app_for(asker(request), app))


@router.patch("/apps/{app}", response=AppOut)
def update(request: HttpRequest, app: str, body: AppChange) -> AppOut:
    """Rename an app, turn its maintenance mode on or off, or choose the stack of its next build."""
    return AppOut.of(_changed(request, app, body))


def _changed(request: HttpRequest, app: str, body: AppChange) -> App:
    by = asker(request)
    found = access.app_for(by, app, to=access.MANAGE if body.name else access.OPERATE)
    if body.name and body.name != found.name:
        actions.rename_app(found, body.name, by=by)
    if body.maintenance is not None and body.maintenance != found.maintenance:
        actions.set_maintenance(found, body.maintenance, by=by)
    if body.build_stack:
        stacks.set_stack(found, stack_name(body.build_stack), by=by)
    return found


@router.delete("/apps/{app}", response=AppOut)
def destroy(request: HttpRequest, app: str) -> AppOut:
    """Destroy an app; whoever calls has asked for confirmation."""
    found = access.app_for(asker(request), app, to=access.MANAGE)
    answer = AppOut.of(found)
    actions.destroy_app(found, confirm=found.name, by=asker(request))
    return answer


class TeamAppChange(AppChange):
    """What of a team's app can be changed: its owner too, a team by name or a person by address."""

    owner: str | None = None
    locked: bool | None = None


@router.patch("/teams/apps/{app}", response=TeamAppOut)
def update_in_team(request: HttpRequest, app: str, body: TeamAppChange) -> TeamAppOut:
    """Lock an app or unlock it, hand it to a team, or offer it to a person; or change it as above."""
    by = asker(request)
    if body.owner or body.locked is not None:
        found = access.app_for(by, app, to=access.MANAGE)
        if body.locked is not None and body.locked != found.locked:
            actions.set_locked(found, body.locked, by=by)
        if body.owner:
            transfers.hand_over(found, account_access.new_owner(by, body.owner), by=by)
    return TeamAppOut.of(_changed(request, app, body))


@router.delete("/apps/{app}/build-cache", response=AppOut)
def purge_cache(request: HttpRequest, app: str) -> AppOut:
    """Have the next build start without the cache of those before it."""
    by = asker(request)
    found = access.app_for(by, app, to=access.DEPLOY)
    purge(found, by=by)
    return AppOut.of(found)


class DomainIn(Schema):
    """A custom domain and the certificate to answer with, by name or id; null: the only one that covers it."""

    hostname: str
    sni_endpoint: str | None = None


@router.get("/apps/{app}/domains", response={200: list[DomainOut], 206: list[DomainOut]})
def domains(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[DomainOut]]:
    """The host names that reach the app: its own of the platform, then its custom ones."""
    found = access.app_for(asker(request), app)
    rows = found.domains.select_related("app", "certificate")
    answer = ranged(request, response, rows, DomainOut.of, by="hostname", fields=["id"])
    if is_first_page(request):
        answer.value.insert(0, DomainOut.given(found))
    return answer


@router.post("/apps/{app}/domains", response={201: DomainOut})
def add_domain(request: HttpRequest, app: str, body: DomainIn) -> Status[DomainOut]:
    """Have a host name reach the app."""
    by = asker(request)
    found = access.app_for(by, app, to=access.MANAGE)
    chosen = certificates.certificate_of(found, body.sni_endpoint) if body.sni_endpoint else None
    return Status(201, DomainOut.of(actions.add_domain(found, body.hostname, by=by, certificate=chosen)))


@router.get("/apps/{app}/domains/{ref}", response=DomainOut)
def domain(request: HttpRequest, app: str, ref: str) -> DomainOut:
    """One custom domain, by host name or id."""
    return DomainOut.of(_domain(access.app_for(asker(request), app), ref))


class DomainChange(Schema):
    """The certificate to answer with, by name or id; null: none of its own."""

    sni_endpoint: str | None


@router.patch("/apps/{app}/domains/{ref}", response=DomainOut)
def update_domain(request: HttpRequest, app: str, ref: str, body: DomainChange) -> DomainOut:
    """Choose the certificate of a custom domain."""
    by = asker(request)
    found = _domain(access.app_for(by, app, to=access.MANAGE), ref)
    chosen = certificates.certificate_of(found.app, body.sni_endpoint) if body.sni_endpoint else None
    return DomainOut.of(certificates.choose_certificate(found, chosen, by=by))


@router.delete("/apps/{app}/domains/{ref}", response=DomainOut)
def remove_domain(request: HttpRequest, app: str, ref: str) -> DomainOut:
    """Stop answering for a host name."""
    found = _domain(access.app_for(asker(request), app, to=access.MANAGE), ref)
    answer = DomainOut.of(found)
    actions.remove_domain(found, by=asker(request))
    return answer


class CollaboratorIn(Schema):
    """A person to share with; without permissions they may do all but manage."""

    user: str
    permissions: list[str] | None = None
    silent: bool = False


@router.get("/apps/{app}/collaborators", response={200: list[CollaboratorOut], 206: list[CollaboratorOut]})
def collaborators(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[CollaboratorOut]]:
    """Who has rights in the app: the person who owns it, then those it is shared with."""
    found = access.app_for(asker(request), app)
    answer = ranged(request, response, found.collaborators.select_related("app", "user"), CollaboratorOut.of)
    if found.user and is_first_page(request):
        answer.value.insert(0, CollaboratorOut.by_right(found, found.user, "owner", access.RIGHTS))
    return answer


@router.post("/apps/{app}/collaborators", response={201: CollaboratorOut})
def share(request: HttpRequest, app: str, body: CollaboratorIn) -> Status[CollaboratorOut]:
    """Give a person rights in the app."""
    by = asker(request)
    found = access.app_for(by, app, to=access.MANAGE)
    return share_with(found, body.user, body.permissions, by)


@router.get("/apps/{app}/collaborators/{ref}", response=CollaboratorOut)
def collaborator(request: HttpRequest, app: str, ref: str) -> CollaboratorOut:
    """One person with rights in the app, by address or id."""
    return CollaboratorOut.of(collaborator_of(access.app_for(asker(request), app), ref))


@router.delete("/apps/{app}/collaborators/{ref}", response=CollaboratorOut)
def unshare(request: HttpRequest, app: str, ref: str) -> CollaboratorOut:
    """Take a person's rights in the app away; anyone may take away their own."""
    by = asker(request)
    own = ref in (by.email, str(by.pk))
    found = access.app_for(by, app, to=access.VIEW if own else access.MANAGE)
    row = collaborator_of(found, ref)
    answer = CollaboratorOut.of(row)
    actions.unshare(row, by=by)
    return answer


class BuildpackIn(Schema):
    """One buildpack, by name or address. The CLI leaves it out for a name that it did not find."""

    buildpack: str | None = None


class BuildpacksIn(Schema):
    """All buildpacks of an app, in order."""

    updates: list[BuildpackIn]


class InstallationOut(Schema):
    """A buildpack and its place."""

    ordinal: int
    buildpack: BuildpackOut


@router.get("/apps/{app}/buildpack-installations", response=list[InstallationOut])
def buildpacks(request: HttpRequest, app: str) -> list[InstallationOut]:
    """The buildpacks that the app asks for; none when they are detected."""
    return _installations(access.app_for(asker(request), app))


@router.put("/apps/{app}/buildpack-installations", response=list[InstallationOut])
def set_buildpacks(request: HttpRequest, app: str, body: BuildpacksIn) -> list[InstallationOut]:
    """Choose the buildpacks of the next build."""
    by = asker(request)
    found = access.app_for(by, app, to=access.MANAGE)
    names = [item.buildpack for item in body.updates]
    if not all(names):
        raise Refusal("One of these buildpacks can't be found. Names look like heroku/python; or give a URL.")
    return _installations(actions.set_buildpacks(found, [name for name in names if name], by=by))


def _installations(app: App) -> list[InstallationOut]:
    return [
        InstallationOut(ordinal=n, buildpack=BuildpackOut.of(text)) for n, text in enumerate(app.buildpacks)
    ]


def _create(request: HttpRequest, body: AppIn, team: str | None) -> App:
    by = asker(request)
    if body.space:
        raise NotFound("There are no private spaces here. Leave the space out.", resource="space")
    if body.region:
        demand_region(body.region)
    with transaction.atomic():
        app = actions.create_app(body.name, owner=account_access.owner_for(by, team), by=by)
        return stacks.set_stack(app, stack_name(body.stack), by=by) if body.stack else app


def _domain(app: App, ref: str) -> Domain:
    found = next(
        (d for d in app.domains.select_related("app", "certificate") if ref in (d.hostname, str(d.pk))), None
    )
    if found is None:
        raise NotFound("Couldn't find that domain.", resource="domain")
    return found


def share_with(app: App, ref: str, permissions: list[str] | None, by: User) -> Status[CollaboratorOut]:
    """Give a person, by address or id, rights in an app."""
    access.demand(access.rights_in(by, app), access.MANAGE, what="app", resource="app", name=app.name)
    people = User.objects.filter(is_active=True)
    id = as_id(ref)
    user = people.filter(pk=id).first() if id else people.filter(email__iexact=ref).first()
    if user is None:
        raise NotFound(f"Nobody here has the address {ref}.", resource="user")
    rights = permissions if permissions is not None else ["view", "deploy", "operate"]
    return Status(201, CollaboratorOut.of(actions.share(app, user, rights, by=by)))


def collaborator_of(app: App, ref: str) -> Collaborator:
    """A person with rights in the app, by address or id."""
    rows = app.collaborators.select_related("app", "user")
    row = next((c for c in rows if ref.lower() in (c.user.email, str(c.user_id), str(c.pk))), None)
    if row is None:
        raise NotFound("Couldn't find that collaborator.", resource="collaborator")
    return row


def joined(app: App, row: Collaborator) -> CollaboratorOut:
    """How a member of the team that owns the app looks as its collaborator, once they have joined it."""
    rights = access.rights_in(row.user, app)
    answer = CollaboratorOut.by_right(
        app, row.user, "member", [one for one in access.RIGHTS if one in rights]
    )
    answer.id = row.pk
    return answer
