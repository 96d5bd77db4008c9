"""The operators' site: what it shows, and that it changes nothing which has an action of its own."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from typing import Any, ClassVar, TypeVar, cast
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import unquote
from django.core.cache import cache
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import RangeDateFilter, TextFilter
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.paginator import InfinitePaginator

from core.deeds import SHOWN, Deed, was_confirmed
from core.errors import Refusal
from core.models import Event

T = TypeVar("T")
BUTTONS = 2  # beside each other at the top of a page; more make a menu
RECENT = 5000  # events, newest first, that the choices of a filter are gathered from


def is_operator(request: HttpRequest) -> bool:
    """Whether who asks may use this site."""
    return bool(request.user.is_active and getattr(request.user, "is_staff", False))


class Looked:
    """Who may look, at rows that nobody changes by a form."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_operator(request)


class Shown(Looked, ModelAdmin):
    """Rows to search and read. Whatever would break an invariant is done by deeds, never by a form."""

    list_per_page = 25
    show_full_result_count = False
    list_filter_submit = True
    deeds: ClassVar[Sequence[Deed]] = ()
    hidden: ClassVar[frozenset[str]] = frozenset({"password"})

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Every column that is not excluded, the ones that no form may change too."""
        hidden = {*(self.exclude or ()), *self.hidden}
        return list(self.fields or [f.name for f in self.model._meta.fields if f.name not in hidden])

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return self.get_fields(request, obj)

    # --- deeds --------------------------------------------------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The deeds that several rows can have done to them at once."""
        if IS_POPUP_VAR in request.GET or not is_operator(request):
            return {}
        return {
            deed.name: (partial(_on_many, deed), deed.name, deed.title)
            for deed in self.deeds
            if not deed.reveals
        }

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<path:object_id>/do/<slug:name>/",
            self.admin_site.admin_view(self.deed_view),
            name=f"{self.model._meta.app_label}_{self.model._meta.model_name}_deed",
        )
        return [own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The page of one row, with a button for each deed that fits it."""
        row = kwargs.get("obj")
        if row is not None:
            buttons = [d.button(self._url("deed", row.pk, d.name)) for d in self.deeds if d.fits(row)]
            context = {**context, "actions_detail": _folded(buttons)}
        return super().render_change_form(request, context, *args, **kwargs)

    def deed_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Ask, then do: one deed to one row."""
        row = self.get_object(request, unquote(object_id))
        deed = next((deed for deed in self.deeds if deed.name == name), None)
        if row is None or deed is None or not self.has_view_permission(request, row):
            raise Http404
        back = self._url("change", row.pk)
        if not was_confirmed(request):
            return self._ask(request, deed, [row], back=back)
        try:
            shown = deed.do(row, request.user)
        except Refusal as refusal:
            messages.error(request, refusal.message)
            return HttpResponseRedirect(back)
        if deed.reveals:
            extra = {"deed": deed, "row": row, "shown": shown, "back": back, "title": deed.reveals}
            return TemplateResponse(request, "admin/revealed.html", self._context(request, **extra))
        messages.success(request, f"{deed.title}: done for {row}.")
        return HttpResponseRedirect(back)

    def _ask(
        self, request: HttpRequest, deed: Deed, rows: Iterable[Any], *, back: str, **extra: Any
    ) -> HttpResponse:
        chosen = list(rows)
        more = {"deed": deed, "rows": chosen[:SHOWN], "others": max(0, len(chosen) - SHOWN), "back": back}
        return TemplateResponse(
            request, "admin/deed.html", self._context(request, title=deed.title, **more, **extra)
        )

    def _context(self, request: HttpRequest, **extra: Any) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "opts": self.model._meta, **extra}

    def _url(self, page: str, *args: Any) -> str:
        return reverse(f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}_{page}", args=args)

    # --- history ------------------------------------------------------------------------------------------------

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The activity is the history: what happened to this row, whoever did it and through what."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return HttpResponseRedirect(
            f"{reverse('admin:core_event_changelist')}?{urlencode({'about': row.pk})}"
        )


def _folded(buttons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first buttons in a row, the others in a menu."""
    if len(buttons) <= BUTTONS + 1:
        return buttons
    menu = {"title": "More", "icon": None, "variant": ActionVariant.DEFAULT, "items": buttons[BUTTONS:]}
    return [*buttons[:BUTTONS], menu]


def _on_many(deed: Deed, site: Shown, request: HttpRequest, rows: "QuerySet[Any]") -> HttpResponse | None:
    """Ask, then do: one deed to all rows that were chosen in a list. Says what was refused."""
    if not was_confirmed(request):
        kept = [
            (name, request.POST[name])
            for name in ("action", "select_across", "index")
            if name in request.POST
        ]
        kept += [
            (helpers.ACTION_CHECKBOX_NAME, pk) for pk in request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
        ]
        return site._ask(request, deed, rows, back=request.get_full_path(), kept=kept)
    done = 0
    for row in rows:
        try:
            deed.do(row, request.user)
            done += 1
        except Refusal as refusal:
            messages.error(request, f"{row}: {refusal.message}")
    if done:
        messages.success(request, f"{deed.title}: done for {done}.")
    return None


class ShownInline(Looked, TabularInline):
    """Rows of another table, to read."""

    extra = 0
    can_delete = False
    show_change_link = True
    per_page = 25
    related: ClassVar[tuple[str, ...]] = ()

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        """With what the rows name, so that none of them asks by itself."""
        rows = super().get_queryset(request).select_related(*self.related)
        return rows if rows.ordered else rows.order_by("pk")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return list(self.fields or ())


class Endless:
    """For tables that grow without end: pages are never counted, and nothing is chosen beyond the page."""

    paginator = InfinitePaginator
    list_disable_select_all = True


def once(ask: Callable[[Any, Any], T]) -> Callable[[Any, Any], T]:
    """Ask the database once a row for what unfold draws by asking five times over."""

    @wraps(ask)
    def asked(site: Any, row: Any) -> T:
        kept = row.__dict__.setdefault("_asked", {})
        if ask.__name__ not in kept:
            kept[ask.__name__] = ask(site, row)
        return cast(T, kept[ask.__name__])

    return asked


STATUS = {
    "pending": "info",
    "running": "primary",
    "succeeded": "success",
    "completed": "success",
    "failed": "danger",
    "cancelled": "warning",
    "expired": "warning",
    "up": "success",
    "starting": "primary",
    "crashed": "danger",
}


@display(description="Status", ordering="status", label=STATUS)
def status(row: Any) -> str:
    """The word of a job's state, in its colour."""
    return str(row.status)


# --- activity ---------------------------------------------------------------------------------------------------------


class AboutFilter(TextFilter):
    """By what it was done to: an id, an app's id with all that is its own, or the beginning of a name."""

    title = "object (name or id)"
    parameter_name = "about"

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        text = (self.value() or "").strip()
        if not text:
            return queryset
        about = Q(object_id=text) | Q(label__istartswith=text)
        if uuid := _uuid(text):
            about |= Q(object_id=uuid) | Q(app_id=uuid) | Q(pipeline_id=uuid)
        return queryset.filter(about)


class DaysFilter(RangeDateFilter):
    """From one day to another, both included, in UTC."""

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        first, last = (self._day(end) for end in ("from", "to"))
        if first:
            queryset = queryset.filter(**{f"{self.field_path}__gte": first})
        return queryset.filter(**{f"{self.field_path}__lt": last + timedelta(days=1)}) if last else queryset

    def _day(self, end: str) -> datetime | None:
        try:
            text = str(self.used_parameters.get(f"{self.parameter_name}_{end}") or "")
            return datetime.fromisoformat(text[:10]).replace(tzinfo=UTC)
        except ValueError:
            return None


class PersonFilter(TextFilter):
    """By the person, as their address begins."""

    title = "person (e-mail)"
    parameter_name = "person"

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        text = (self.value() or "").strip()
        return queryset.filter(actor__istartswith=text) if text else queryset


class AddressFilter(TextFilter):
    """By the address that it came from."""

    title = "address"
    parameter_name = "address"

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        text = (self.value() or "").strip()
        return queryset.filter(address__startswith=text) if text else queryset


class WordFilter(admin.SimpleListFilter):
    """By a word that events carry. The choices are those of recent events: never the whole table is read for them."""

    column = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        words = cache.get_or_set(f"admin:events:{self.column}", self._recent, 60) or []
        chosen = self.value()
        return [(word, word) for word in dict.fromkeys([*words, *([chosen] if chosen else [])])]

    def _recent(self) -> list[str]:
        rows = Event.objects.order_by("-at").values_list(self.column, flat=True)
        return sorted(set(rows[:RECENT]))

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


class VerbFilter(WordFilter):
    """By what was done."""

    title = parameter_name = column = "verb"


class KindFilter(WordFilter):
    """By what kind of thing it was done to."""

    title = parameter_name = column = "kind"


class ThroughFilter(WordFilter):
    """By the way it came."""

    title = parameter_name = column = "through"


@admin.register(Event)
class EventAdmin(Endless, Shown):
    """Who did what. Rows are only ever added."""

    list_display = ("when", "actor", "verb", "kind", "label", "through", "address")
    list_filter = (
        PersonFilter,
        VerbFilter,
        KindFilter,
        ThroughFilter,
        ("at", DaysFilter),
        AddressFilter,
        AboutFilter,
    )
    search_fields = ("actor", "verb", "label", "object_id", "request_id")
    search_help_text = "Who, what, a name, an id, or a request’s id"
    ordering = ("-at",)

    @admin.display(description="When (UTC)", ordering="at")
    def when(self, event: Event) -> str:
        """To the second."""
        return f"{event.at:%Y-%m-%d %H:%M:%S}"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
