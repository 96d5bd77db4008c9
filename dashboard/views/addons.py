"""Add-ons of an app: order, attach, look at, change, give up."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from addons import access, actions, archives, attachments, catalog
from addons.models import Addon, Attachment
from addons.providers.mailer import MAILER
from apps import access as app_access
from apps.models import App
from core.errors import NotFound
from dashboard import addon_panels
from dashboard.answers import see
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from pipelines import addons as door
from pipelines import balancing
from pipelines.access import demand_config
from pipelines.databases import may_enter


@require_safe
@login_required
def home(request: PageRequest, addon: str) -> HttpResponse:
    """Send who follows an address of the API to where the add-on is shown."""
    found = access.addon_for(request.user, addon)
    if found.app is None and balancing.is_one(found):
        return see("pipeline-addon-balancing", found.owner.name, found.name)
    if found.app is None:
        return see("pipeline-resources", found.owner.name)
    seen = app_access.apps_for(request.user).filter(addons=found).first()
    used = seen or app_access.apps_for(request.user).filter(attachments__addon=found).first()
    if used is None:
        raise NotFound("Couldn't find that add-on.", resource="add_on")
    if found.service.name == archives.SERVICE and access.OPERATE in access.rights_in(request.user, found):
        return see("log-archive", used.name)
    if found.service.name == MAILER and may_enter(request.user, found):
        return see("inbox", used.name, found.name)
    return see("addon", used.name, found.name)


@require_safe
@login_required
def new(request: PageRequest, name: str, service: str) -> HttpResponse:
    """Ask which plan, and under which name."""
    app = app_access.app_for(request.user, name, to=access.DEPLOY)
    demand_config(request.user, app)
    return _ordering(request, app, service, Form(plan=""))


@require_POST
@login_required
def order(request: PageRequest, name: str, service: str) -> HttpResponse:
    """Order an add-on; what is refused comes back as it was typed."""
    app = app_access.app_for(request.user, name, to=access.DEPLOY)
    form = Form(request, plan="", confirm="", **{"as": ""})
    made = form.attempt(lambda: _order(request, app, service, form))
    if made is None:
        return _ordering(request, app, service, form)
    return go(request, "app-resources", app.name, fragment="h-addons")


def _order(request: PageRequest, app: App, service: str, form: Form) -> Addon:
    plan = catalog.plan_called(form.value("plan"), service=catalog.service_called(service))
    door.app_to_order(request.user, app.name, plan)
    confirm = app.name if form.value("replace") else ""
    return actions.provision(app, plan, as_=form.value("as"), confirm=confirm, by=request.user)


def _ordering(request: PageRequest, app: App, service: str, form: Form) -> HttpResponse:
    context = addon_panels.ordering(app, request.user, catalog.service_called(service), form)
    return page_or_dialog(request, "addons/new.html", context, status=form.status)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def share(request: PageRequest, name: str) -> HttpResponse:
    """Ask which add-on of another app, and under which name; then attach it."""
    app = door.app_to_attach(request.user, name)
    form = Form(request, addon="", **{"as": ""})
    if request.method == "POST":
        made = form.attempt(lambda: _attach(request, app, form))
        if made is not None:
            messages.success(request, f"{made.addon.name} is attached as {made.name}.")
            return go(request, "app-resources", app.name, fragment="h-addons")
    context = addon_panels.sharing(app, request.user, form)
    return page_or_dialog(request, "addons/attach.html", context, status=form.status)


def _attach(request: PageRequest, app: App, form: Form) -> Attachment:
    addon = door.addon_to_share(request.user, access.addon_for(request.user, form.value("addon")))
    confirm = app.name if form.value("replace") else ""
    return attachments.attach(addon, app, as_=form.value("as"), confirm=confirm, by=request.user)


@require_safe
@login_required
def show(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """One add-on; htmx gets the part that changes."""
    app, found = _addon(request, name, addon)
    template = "addons/_addon.html" if request.htmx else "addons/addon.html"
    return render(request, template, addon_panels.of_addon(app, request.user, found))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def plan(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Ask for another plan; then have the add-on changed."""
    app, found = _addon(request, name, addon)
    door.addon_for(request.user, found)
    form = Form(request, plan="")
    if request.method == "POST":
        changed = form.attempt(lambda: _replan(request, found, form))
        if changed is not None:
            return go(request, "addon", app.name, found.name)
    context = addon_panels.replanning(app, request.user, found, form)
    return page_or_dialog(request, "addons/plan.html", context, status=form.status)


def _replan(request: PageRequest, addon: Addon, form: Form) -> Addon:
    chosen = catalog.plan_called(form.value("plan"), service=addon.service)
    access.demand_right(request.user, addon, access.right_to_have(chosen))
    return actions.change_plan(addon, chosen, by=request.user)


@require_POST
@login_required
def rename(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Call it differently."""
    app, found = _addon(request, name, addon)
    door.addon_for(request.user, found)
    form = Form(request, name="")
    renamed = form.attempt(lambda: actions.rename(found, form.value("name"), by=request.user))
    if renamed is None:
        context = addon_panels.of_addon(app, request.user, found, form)
        return render(request, "addons/addon.html", context, status=form.status)
    return go(request, "addon", app.name, renamed.name)


@require_POST
@login_required
def retry(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Have it made that failed to be."""
    app, found = _addon(request, name, addon)
    actions.try_again(door.addon_for(request.user, found), by=request.user)
    return see("addon", app.name, found.name)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def destroy(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Ask for the name, then give it up everywhere: the question has said where it is used."""
    app, found = _addon(request, name, addon)
    door.addon_for(request.user, found)
    form = Form(request, confirm="")
    if request.method == "POST":
        confirm = form.value("confirm")
        form.attempt(lambda: actions.destroy(found, confirm=confirm, force=True, by=request.user))
        if form.status == 200:
            messages.success(request, f"{found.name} is being removed.")
            return go(request, "app-resources", app.name, fragment="h-addons")
    context = addon_panels.destroying(app, request.user, found, form)
    return page_or_dialog(request, "addons/destroy.html", context, status=form.status)


@require_POST
@login_required
def detach(request: PageRequest, name: str, attachment_id: str) -> HttpResponse:
    """Have the app use it no more, under this name."""
    app, found = _attachment(request, name, attachment_id)
    attachments.detach(found, by=request.user)
    messages.success(request, f"{found.name} is detached.")
    return see("app-resources", app.name)


@require_POST
@login_required
def promote(request: PageRequest, name: str, attachment_id: str) -> HttpResponse:
    """Have the name that the code reads mean this add-on."""
    app, found = _attachment(request, name, attachment_id)
    made = attachments.promote(found.addon, app, by=request.user)
    messages.success(request, f"{found.addon.name} is {made.name} of {app.name} now.")
    return see("addon", app.name, found.addon.name)


def _addon(request: PageRequest, name: str, addon: str) -> tuple[App, Addon]:
    app = app_access.app_for(request.user, name)
    found = access.one(access.named(access.addons_of(app), addon), addon)
    if found.app_id == app.pk:
        found.app = app  # whose rights are known already
    return app, found


def _attachment(request: PageRequest, name: str, attachment_id: str) -> tuple[App, Attachment]:
    app = door.app_to_attach(request.user, name)
    found = access.attachments_of(app).filter(pk=attachment_id).first()
    if found is None:
        raise NotFound("Couldn't find that add-on attachment.", resource="add_on attachment")
    return app, found
