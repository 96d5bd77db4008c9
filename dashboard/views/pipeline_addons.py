"""Add-ons of a pipeline's own: order, share with its apps, give up. Who manages the pipeline decides about them, since
they change the config of apps in every stage."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from addons import access as addon_access
from addons import actions, catalog
from addons.models import Addon
from dashboard import balancer_panel
from dashboard import pipeline_addon_panels as panels
from dashboard.answers import see
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from pipelines import access, default_addons
from pipelines import balancing as balancers
from pipelines.models import Balancer, Pipeline, SharedAddon


@require_safe
@login_required
def resources(request: PageRequest, name: str) -> HttpResponse:
    """The pipeline's add-ons and the catalog; htmx gets the part that changes."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    template = "pipelines/_resources.html" if request.htmx else "pipelines/resources.html"
    return render(request, template, panels.of_pipeline(pipeline, request.user, rights))


@require_safe
@login_required
def new(request: PageRequest, name: str, service: str) -> HttpResponse:
    """Ask which plan, for which apps, and under which name."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    return _ordering(request, pipeline, service, Form(plan="", stage=""))


@require_POST
@login_required
def order(request: PageRequest, name: str, service: str) -> HttpResponse:
    """Order an add-on and share it; what is refused comes back as it was typed."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    form = Form(request, plan="", stage="", **{"as": ""})
    if form.attempt(lambda: _order(request, pipeline, service, form)) is None:
        return _ordering(request, pipeline, service, form)
    return go(request, "pipeline-resources", pipeline.name)


def _order(request: PageRequest, pipeline: Pipeline, service: str, form: Form) -> SharedAddon:
    plan = catalog.plan_called(form.value("plan"), service=catalog.service_called(service))
    stage = default_addons.stage_called(pipeline, form.value("stage"))
    return default_addons.share(pipeline, plan, stage=stage, as_=form.value("as"), by=request.user)


def _ordering(request: PageRequest, pipeline: Pipeline, service: str, form: Form) -> HttpResponse:
    context = panels.ordering(pipeline, catalog.service_called(service), form)
    return page_or_dialog(request, "pipelines/addon_new.html", context, status=form.status)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def sharing(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Ask which apps are to have it; then attach it to these and to no others."""
    pipeline, found = _addon(request, name, addon)
    shared = SharedAddon.objects.select_related("stage").filter(addon=found).first()
    before = shared.stage.name if shared and shared.stage else ""
    form = Form(request, stage=before, **{"as": shared.name if shared else ""})
    if request.method == "POST":
        shared = form.attempt(lambda: _share(request, pipeline, found, form))
        if shared is not None:
            return go(request, "pipeline-resources", pipeline.name)
    context = panels.sharing(pipeline, found, form)
    return page_or_dialog(request, "pipelines/addon_sharing.html", context, status=form.status)


def _share(request: PageRequest, pipeline: Pipeline, addon: Addon, form: Form) -> SharedAddon:
    stage = default_addons.stage_called(pipeline, form.value("stage"))
    return default_addons.share_with(addon, stage=stage, as_=form.value("as"), by=request.user)


@require_POST
@login_required
def stop_sharing(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Detach it from every app; it stays the pipeline's."""
    pipeline, found = _addon(request, name, addon)
    default_addons.stop_sharing(found, by=request.user)
    messages.success(request, f"{found.name} is shared with no app now.")
    return see("pipeline-resources", pipeline.name)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def balancing(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """A load balancer: its address, and its apps with their weights, which who manages the pipeline changes; htmx gets
    the part that changes by itself."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    if request.method == "POST":
        pipeline, found = _addon(request, name, addon)
        form = Form(request, sticky="")
        if form.attempt(lambda: _balance(request, found, form)) is not None:
            messages.success(request, f"{found.name} follows the new weights.")
            return go(request, "pipeline-addon-balancing", pipeline.name, found.name)
    else:
        rows = addon_access.addons_for(request.user).filter(pipeline=pipeline).whole()
        found, form = addon_access.one(addon_access.named(rows, addon), addon), None
    context = balancer_panel.of_balancer(pipeline, request.user, rights, found, form)
    template = "pipelines/_balancer.html" if request.htmx and form is None else "pipelines/balancer.html"
    return render(request, template, context, status=form.status if form else 200)


def _balance(request: PageRequest, addon: Addon, form: Form) -> Balancer:
    prefix = "weight-"
    weights = {key.removeprefix(prefix): form.value(key) for key in request.POST if key.startswith(prefix)}
    return balancers.adjust(addon, weights, sticky=bool(form.value("sticky")), by=request.user)


@require_POST
@login_required
def retry(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Have it made that failed to be."""
    pipeline, found = _addon(request, name, addon)
    actions.try_again(found, by=request.user)
    return see("pipeline-resources", pipeline.name)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def destroy(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Ask for the name, then give it up everywhere: the question has said where it is used."""
    pipeline, found = _addon(request, name, addon)
    form = Form(request, confirm="")
    if request.method == "POST":
        confirm = form.value("confirm")
        form.attempt(lambda: actions.destroy(found, confirm=confirm, force=True, by=request.user))
        if form.status == 200:
            messages.success(request, f"{found.name} is being removed.")
            return go(request, "pipeline-resources", pipeline.name)
    context = panels.destroying(pipeline, request.user, found, form)
    return page_or_dialog(request, "pipelines/addon_destroy.html", context, status=form.status)


def _addon(request: PageRequest, name: str, addon: str) -> tuple[Pipeline, Addon]:
    """One of the pipeline's own, for who manages the pipeline."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    rows = Addon.objects.filter(pipeline=pipeline).whole()
    return pipeline, addon_access.one(addon_access.named(rows, addon), addon)
