"""Apps and what is theirs, and the teams that own them, for operators."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from unfold.decorators import display

from accounts import actions as account_actions
from accounts.admin import MembershipInline, UserAdmin
from accounts.models import Membership, Team, User
from apps import actions, limits, suspension
from apps.models import (
    Alert,
    App,
    AppTransfer,
    Autoscale,
    Certificate,
    Collaborator,
    ConfigVar,
    Domain,
    Dyno,
    Formation,
    LogDrain,
)
from core.admin import STATUS, Endless, Shown, ShownInline, once
from core.deeds import Deed


class FormationInline(ShownInline):
    """How many dynos of which type."""

    model = Formation
    fields = ("type", "quantity", "size", "updated_at")
    show_change_link = False


class DynoInline(ShownInline):
    """The dynos and how they are."""

    model = Dyno
    fields = ("type", "number", "state", "state_at", "release_version", "crashes", "exit_code", "reason")


class CollaboratorInline(ShownInline):
    """Who has rights without owning it."""

    model = Collaborator
    fields = ("user", "rights", "created_at")
    show_change_link = False
    related = ("user", "app")


class DomainInline(ShownInline):
    """Host names of its own."""

    model = Domain
    fields = ("hostname", "certificate", "created_at")
    related = ("certificate",)


class CertificateInline(ShownInline):
    """What those show by https; never the key."""

    model = Certificate
    fields = ("name", "cert_domains", "issuer", "expires_at", "trusted", "updated_at")
    show_change_link = False


class LogDrainInline(ShownInline):
    """Where its log goes as well, and how that goes."""

    model = LogDrain
    fields = ("shown_url", "sent_at", "failures", "last_error")
    show_change_link = False


@admin.register(App)
class AppAdmin(Shown):
    """Apps. An operator can restart and suspend them; everything else is for those who own them."""

    list_display = ("name", "owned_by", "standing", "maintained", "last_version", "created_at")
    list_filter = (
        "maintenance",
        ("suspended_at", admin.EmptyFieldListFilter),
        ("destroyed_at", admin.EmptyFieldListFilter),
        "created_at",
    )
    search_fields = ("name", "id", "user__email", "team__name", "domains__hostname")
    search_help_text = "Name, id, owner or host name"
    list_select_related = ("user", "team")
    fields = (
        "name",
        "id",
        "user",
        "team",
        "suspended_at",
        "destroyed_at",
        "maintenance",
        "last_version",
        "stack",
        "buildpacks",
        "health_path",
        "slot",
        "created_at",
        "updated_at",
    )
    inlines = (
        FormationInline,
        DynoInline,
        DomainInline,
        CertificateInline,
        LogDrainInline,
        CollaboratorInline,
    )
    deeds: ClassVar = (
        Deed(
            "restart",
            "Restart all dynos",
            "Fresh dynos replace all that run; the old web dynos answer until the new ones do.",
            lambda app, by: actions.restart(app, by=by),
            icon="restart_alt",
            fits=lambda app: app.suspended_at is None,
        ),
        Deed(
            "suspend",
            "Suspend",
            "Its dynos stop at once and visitors get a page that says so; a build under way is cancelled, and nothing can be "
            "pushed, promoted, scaled or run. Code, config, releases and logs stay.",
            lambda app, by: suspension.suspend_app(app, True, by=by),
            icon="block",
            grave=True,
            fits=lambda app: app.suspended_at is None,
        ),
        Deed(
            "reinstate",
            "Reinstate",
            "Its dynos start again as they were.",
            lambda app, by: suspension.suspend_app(app, False, by=by),
            icon="play_arrow",
            fits=lambda app: app.suspended_at is not None,
        ),
    )

    @display(description="Maintenance", ordering="maintenance", label={"on": "warning"})
    def maintained(self, app: App) -> str | None:
        return "on" if app.maintenance else None

    @admin.display(description="Owner", ordering="team__name")
    def owned_by(self, app: App) -> str:
        return str(app.owner)

    @display(
        description="Standing",
        ordering="suspended_at",
        label={"active": "success", "suspended": "danger", "being destroyed": "warning"},
    )
    def standing(self, app: App) -> str:
        if app.destroyed_at:
            return "being destroyed"
        return "suspended" if app.suspended_at else "active"


@admin.register(ConfigVar)
class ConfigVarAdmin(Shown):
    """Which config vars there are; never their values."""

    list_display = ("key", "app", "set_at", "set_by")
    search_fields = ("key", "app__name", "app__id")
    list_select_related = ("app", "set_by")
    exclude = ("sealed",)


@admin.register(Dyno)
class DynoAdmin(Endless, Shown):
    """Every dyno, over all apps."""

    list_display = ("name", "app", "condition", "state_at", "release_version", "size", "crashes", "reason")
    list_filter = ("state", "one_off", "size")
    search_fields = ("app__name", "type", "reason", "id")
    ordering = ("-state_at",)
    list_select_related = ("app",)
    exclude = ("sealed_env",)
    deeds: ClassVar = (
        Deed(
            "stop",
            "Restart or stop",
            "A dyno of the formation is replaced by a fresh one; a one-off dyno ends.",
            lambda dyno, by: actions.stop_dyno(dyno.app, dyno.name, by=by),
            icon="restart_alt",
        ),
    )

    @display(description="State", ordering="state", label=STATUS)
    def condition(self, dyno: Dyno) -> str:
        return str(dyno.state)


@admin.register(Alert)
class AlertAdmin(Shown):
    """What people want to be told of, and what is beyond its bound now."""

    list_display = ("app", "kind", "bound", "text", "minutes", "since", "found")
    list_filter = ("kind",)
    search_fields = ("app__name", "app__id", "text")
    list_select_related = ("app",)


@admin.register(Autoscale)
class AutoscaleAdmin(Shown):
    """Which apps the platform scales, between which bounds, and what it last did."""

    list_display = ("app", "enabled", "minimum", "maximum", "p95", "changed_at", "reason")
    list_filter = ("enabled",)
    search_fields = ("app__name", "app__id", "reason")
    list_select_related = ("app",)


@admin.register(Domain)
class DomainAdmin(Shown):
    """Host names that apps answer to."""

    list_display = ("hostname", "app", "created_at")
    search_fields = ("hostname", "app__name", "id")
    list_select_related = ("app",)


@admin.register(AppTransfer)
class AppTransferAdmin(Shown):
    """Apps on their way to somebody else."""

    list_display = ("app", "state", "owner", "recipient", "created_at")
    list_filter = ("state", "created_at")
    search_fields = ("app__name", "owner__email", "recipient__email", "id")
    list_select_related = ("app", "owner", "recipient")


@admin.register(Team)
class TeamAdmin(Shown):
    """Teams, who is in them, and what they may have at most."""

    list_display = (
        "name",
        "standing",
        "people",
        "app_count",
        "max_apps",
        "max_dynos",
        "max_builds",
        "created_at",
    )
    list_filter = (("suspended_at", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("name", "id", "memberships__user__email")
    search_help_text = "Name, id, or the address of somebody in it"
    inlines = (MembershipInline,)
    deeds: ClassVar = (
        Deed(
            "suspend",
            "Suspend",
            "All its apps stop at once and visitors get a page that says so; builds under way are cancelled, and nothing "
            "can be pushed, promoted, scaled or run. Code, config, releases and logs stay. Its people keep their access.",
            lambda team, by: suspension.suspend_team(team, by=by),
            icon="block",
            grave=True,
            fits=lambda team: team.suspended_at is None,
        ),
        Deed(
            "reinstate",
            "Reinstate",
            "Its apps start again as they were, but for those that were suspended by themselves.",
            lambda team, by: suspension.reinstate_team(team, by=by),
            icon="play_arrow",
            fits=lambda team: team.suspended_at is not None,
        ),
    )
    fieldsets = (
        (None, {"fields": ("id", "name", "created_at", "suspended_at", "in_use")}),
        (
            "Limits",
            {
                "fields": ("max_apps", "max_dynos", "max_builds"),
                "description": "What the team has beyond a new limit stays; it gets no more.",
            },
        ),
    )
    readonly_fields = ("id", "name", "created_at", "suspended_at", "in_use")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        apps = (
            App.objects.alive().filter(team=OuterRef("pk")).order_by().values("team").annotate(n=Count("pk"))
        )
        people = (
            Membership.objects.filter(team=OuterRef("pk")).order_by().values("team").annotate(n=Count("pk"))
        )
        rows = super().get_queryset(request)
        return rows.annotate(
            people_found=Coalesce(Subquery(people.values("n")), 0),
            apps_found=Coalesce(Subquery(apps.values("n")), 0),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [name for _, part in self.fieldsets for name in part["fields"]]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Its limits are the one thing on this site that a form changes."""
        return self.has_view_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Team, form: Any, change: bool) -> None:
        assert isinstance(request.user, User)
        account_actions.set_limits(
            Team.objects.get(pk=obj.pk),
            max_apps=obj.max_apps,
            max_dynos=obj.max_dynos,
            max_builds=obj.max_builds,
            by=request.user,
        )

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The activity has it already."""

    @display(
        description="Standing", ordering="suspended_at", label={"active": "success", "suspended": "danger"}
    )
    def standing(self, team: Team) -> str:
        return "suspended" if team.suspended_at else "active"

    @admin.display(description="People", ordering="people_found")
    def people(self, team: Any) -> int:
        return int(team.people_found)

    @admin.display(description="Apps", ordering="apps_found")
    def app_count(self, team: Any) -> int:
        return int(team.apps_found)

    @admin.display(description="In use")
    @once
    def in_use(self, team: Team) -> str:
        """What its limits are compared with."""
        return f"{limits.apps_of(team)} apps, {limits.dynos_of(team)} dynos"


# What a person owns is not known where people are; here it is.
UserAdmin.deeds = (
    *UserAdmin.deeds,
    Deed(
        "suspend-apps",
        "Suspend their apps",
        "No dyno of an app of their own runs, and visitors are told that it does not work. Apps of their teams go on.",
        lambda user, by: suspension.suspend_apps_of(user, by=by),
        icon="block",
        grave=True,
        fits=lambda user: App.objects.alive().filter(user=user, suspended_at=None).exists(),
    ),
    Deed(
        "reinstate-apps",
        "Reinstate their apps",
        "The apps of their own that an operator has suspended start again.",
        lambda user, by: suspension.reinstate_apps_of(user, by=by),
        icon="undo",
        fits=lambda user: App.objects.alive().filter(user=user, suspended_at__isnull=False).exists(),
    ),
)
