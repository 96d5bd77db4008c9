"""How code gets here: git, this branch again, an archive; and the builds so far."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from apps import access
from dashboard import panels
from dashboard.app_forms import BuildForm, UploadForm, read
from dashboard.http import PageRequest, go
from releases import actions, sources
from releases.models import Source

PER_PAGE = 20


@require_safe
@login_required
def deploy(request: PageRequest, name: str) -> HttpResponse:
    """Ways to deploy and the builds so far; htmx gets the builds."""
    app = access.app_for(request.user, name)
    page = Paginator(panels.builds(app), PER_PAGE).get_page(request.GET.get("page"))
    context = {**panels.deploy(app, request.user), "page": page}
    return render(request, "apps/_builds.html" if request.htmx else "apps/deploy.html", context)


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
def upload(request: PageRequest, name: str) -> HttpResponse:
    """Build an archive that came with the form."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    asked = read(UploadForm(request.POST, request.FILES))
    stored = sources.store_archive(asked["archive"], settings.SOURCE_BYTES)
    with transaction.atomic():
        source = Source.objects.create(
            app=app,
            user=request.user,
            path=stored.path,
            checksum=stored.checksum,
            bytes=stored.bytes,
            version=asked["version"],
        )
        build = actions.create_build(app, source, by=request.user)
    return go(request, "build", app.name, build.pk)
