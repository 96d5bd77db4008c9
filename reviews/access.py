"""Who sees review apps. The right to deploy in the pipeline is the right to make and to destroy them; whoever sees only
some apps of a pipeline sees only those."""

from uuid import UUID

from django.db.models import QuerySet

from accounts.access import DEPLOY, VIEW, demand, rights_as_owner
from accounts.models import User
from apps import access as app_access
from core.errors import NotFound
from pipelines.models import Pipeline
from reviews.models import ReviewApp


def sees_all(user: User, pipeline: Pipeline, rights: frozenset[str]) -> bool:
    """Whether `user`, who has these `rights` in the pipeline, sees all of its review apps and pull requests; who only has
    some of its apps shared with them sees those."""
    return DEPLOY in rights or VIEW in rights_as_owner(user, pipeline)


def seen_by(user: User, pipeline: Pipeline, *, all_of_them: bool | None = None) -> "QuerySet[ReviewApp]":
    """The review apps of the pipeline that are wanted or still there, as far as `user` may see them."""
    rows = ReviewApp.objects.filter(pipeline=pipeline).exclude(state=ReviewApp.State.DELETED)
    rows = rows.select_related("pipeline", "pull_request", "by")
    if VIEW in rights_as_owner(user, pipeline) if all_of_them is None else all_of_them:
        return rows
    return rows.filter(app__in=app_access.apps_for(user))


def review_app_for(
    user: User, pk: UUID, *, to: str = VIEW, rights: frozenset[str] | None = None
) -> ReviewApp:
    """The review app of this id, for `user` to `to` in its pipeline, with what pages show of it. Foreign and absent are
    the same `NotFound`. `rights` are those that `user` has by owning the pipeline, if that was asked already."""
    related = ("pipeline__user", "pipeline__team", "pull_request", "app__coupling__stage", "by", "setup")
    found = ReviewApp.objects.filter(pk=pk).select_related(*related).first()
    if found is None or not user.is_authenticated:
        raise NotFound("Couldn't find that review app.", resource="review_app")
    rights = rights_as_owner(user, found.pipeline) if rights is None else rights
    if VIEW not in rights and found.app is not None:
        rights = app_access.rights_in(user, found.app) & {VIEW}
    demand(rights, to, what="review app", resource="review_app", name=str(found))
    return found
