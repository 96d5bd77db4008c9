"""How code gets here: git, a branch that was pushed, a public repository, an image, an archive; and the builds so far."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from apps import access
from apps.models import App
from dashboard import deploys
from dashboard.app_forms import BuildForm, UploadForm, read
from dashboard.forms import Form
from dashboard.http import PageRequest, go
from releases import actions, sources
from releases.models import Build, Source


@require_safe
@login_required
def deploy(request: PageRequest, name: str) -> HttpResponse:
    """Ways to deploy and the builds so far; htmx gets the part that changes."""
    app = access.app_for(request.user, name)
    number = request.GET.get("page", "")
    template = "apps/_deploy.html" if request.htmx else "apps/deploy.html"
    return render(request, template, deploys.page(app, request.user, number))


@require_POST
@login_required
def build_again(request: PageRequest, name: str) -> HttpResponse:
    """Build a source once more."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    asked = read(BuildForm(request.POST))
    source = get_object_or_404(Source, app=app, pk=asked["source"])
    build = actions.build_again(app, source, by=request.user, clear_cache=asked["clear_cache"])
    return go(request, "build", app.name, build.pk)


@require_POST
@login_required
def build_ref(request: PageRequest, name: str) -> HttpResponse:
    """Build a branch, tag or commit of the app's own repository."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    form = Form(request, ref="", clear_cache="")
    clear = bool(form.value("clear_cache"))
    return _built(
        request,
        app,
        "ref",
        form,
        lambda: actions.create_build_of(app, form.value("ref"), by=request.user, clear_cache=clear),
    )


@require_POST
@login_required
def build_url(request: PageRequest, name: str) -> HttpResponse:
    """Build a public git repository."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    form = Form(request, url="", ref="")
    return _built(
        request,
        app,
        "url",
        form,
        lambda: actions.create_build_from_git(
            app, url=form.value("url"), ref=form.value("ref"), by=request.user
        ),
    )


@require_POST
@login_required
def build_image(request: PageRequest, name: str) -> HttpResponse:
    """Release a ready-made image."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    form = Form(request, image="")
    return _built(
        request,
        app,
        "image",
        form,
        lambda: actions.create_build_of_image(app, form.value("image"), by=request.user),
    )


@require_POST
@login_required
def upload(request: PageRequest, name: str) -> HttpResponse:
    """Build an archive that came with the form."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    form = Form(request, archive="", version="")
    return _built(request, app, "archive", form, lambda: _upload(request, app))


def _upload(request: PageRequest, app: App) -> Build:
    asked = read(UploadForm(request.POST, request.FILES))
    stored = sources.store_archive(asked["archive"], settings.SOURCE_BYTES)
    with transaction.atomic():
        source = Source.objects.create(app=app, user=request.user, version=asked["version"], **vars(stored))
        return actions.create_build(app, source, by=request.user)


def _built(
    request: PageRequest, app: App, name: str, form: Form, action: Callable[[], Build]
) -> HttpResponse:
    """On to the build that `action` makes, or the page again with what is wrong beside the fields of `form`."""
    build = form.attempt(action)
    if build is not None:
        return go(request, "build", app.name, build.pk)
    context = deploys.page(app, request.user, "", **{name: form})
    return render(request, "apps/deploy.html", context, status=form.status)
