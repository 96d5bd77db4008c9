"""Apps and what is theirs, for operators."""

from django.contrib import admin

from apps import actions
from apps.models import App, Collaborator, ConfigVar, Domain, Dyno, Formation
from core.admin import Shown, ShownInline, each


class FormationInline(ShownInline):
    """How many dynos of which type."""

    model = Formation
    fields = ("type", "quantity", "size", "updated_at")


class DynoInline(ShownInline):
    """The dynos and how they are."""

    model = Dyno
    fields = ("type", "number", "state", "state_at", "release_version", "crashes", "exit_code", "reason")


class CollaboratorInline(ShownInline):
    """Who has rights without owning it."""

    model = Collaborator
    fields = ("user", "rights", "created_at")


class DomainInline(ShownInline):
    """Host names of its own."""

    model = Domain
    fields = ("hostname", "created_at")


@admin.register(App)
class AppAdmin(Shown):
    """Apps. An operator can restart and suspend them; everything else is for those who own them."""

    list_display = (
        "name",
        "user",
        "team",
        "maintenance",
        "suspended_at",
        "destroyed_at",
        "last_version",
        "created_at",
    )
    list_filter = ("maintenance", "suspended_at", "created_at")
    search_fields = ("name", "id", "user__email", "team__name", "domains__hostname")
    list_select_related = ("user", "team")
    inlines = (FormationInline, DynoInline, DomainInline, CollaboratorInline)
    actions = (
        each(lambda app, by: actions.restart(app, by=by), "Restart all dynos"),
        each(lambda app, by: actions.suspend_app(app, True, by=by), "Suspend"),
        each(lambda app, by: actions.suspend_app(app, False, by=by), "Lift suspension"),
    )


@admin.register(ConfigVar)
class ConfigVarAdmin(Shown):
    """Which config vars there are; never their values."""

    list_display = ("key", "app", "set_at", "set_by")
    search_fields = ("key", "app__name")
    list_select_related = ("app", "set_by")
    exclude = ("sealed",)


@admin.register(Dyno)
class DynoAdmin(Shown):
    """Every dyno, over all apps."""

    list_display = ("name", "app", "state", "state_at", "release_version", "size", "crashes", "reason")
    list_filter = ("state", "one_off", "size")
    search_fields = ("app__name", "type", "reason")
    list_select_related = ("app",)
    exclude = ("sealed_env",)
    actions = (each(lambda dyno, by: actions.stop_dyno(dyno.app, dyno.name, by=by), "Restart or stop"),)


@admin.register(Domain)
class DomainAdmin(Shown):
    """Host names that apps answer to."""

    list_display = ("hostname", "app", "created_at")
    search_fields = ("hostname", "app__name")
    list_select_related = ("app",)
