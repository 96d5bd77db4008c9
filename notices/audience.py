"""Who is somebody to a pipeline."""

from typing import Any

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from accounts.models import Membership, User
from apps.models import App, Collaborator
from pipelines.models import Pipeline


def audience(pipeline_id: Any) -> QuerySet[User]:
    """Who may see the pipeline or something of it: owners, people of owning teams, collaborators."""
    pipeline = Pipeline.objects.filter(pk=pipeline_id)
    apps = App.objects.filter(coupling__pipeline=pipeline_id)
    teams = Q(team__in=pipeline.values("team")) | Q(team__in=apps.values("team"))
    shares = Collaborator.objects.filter(app__in=apps).annotate(told=Cast("rights", TextField()))
    people = (
        Q(pk__in=pipeline.values("user"))
        | Q(pk__in=apps.values("user"))
        | Q(pk__in=Membership.objects.filter(teams).values("user"))
        | Q(pk__in=shares.exclude(told="[]").values("user"))
    )
    return User.objects.filter(people, is_active=True)
