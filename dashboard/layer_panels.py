"""What the page of a pipeline's config vars shows: the names that all apps inherit, and who has other values."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from accounts.access import DEPLOY, MANAGE
from accounts.models import User
from apps import access as app_access
from apps.models import ConfigVar
from dashboard.forms import Form
from pipelines.models import Pipeline, PipelineVar, Stage, StageVar

APPS_NAMED = 3


@dataclass
class Name:
    """A config var of the pipeline or of one of its stages, with all who say what it is."""

    key: str
    everywhere: bool = False
    stages: list[Stage] = field(default_factory=list)
    apps: list[str] = field(default_factory=list)  # of those that the viewer sees

    @property
    def named(self) -> list[str]:
        """The first apps with a value of their own."""
        return self.apps[:APPS_NAMED]

    @property
    def more(self) -> int:
        """How many further apps have one."""
        return len(self.apps) - len(self.named)


def context(
    pipeline: Pipeline, user: User, rights: frozenset[str], form: Form, shown: tuple[str, str]
) -> dict[str, Any]:
    """The whole page; `shown` is a config var with its value, for who asked to see it."""
    variables = list(PipelineVar.objects.filter(pipeline=pipeline).select_related("set_by").defer("sealed"))
    key, value = shown
    return {
        "pipeline": pipeline,
        "tab": "settings",
        "section": "config",
        "form": form,
        "variables": variables,
        "names": _names(pipeline, user, variables) if DEPLOY in rights else [],
        "shown": key,
        "value": value,
        "may_manage": MANAGE in rights,
        "may_deploy": DEPLOY in rights,
    }


def _names(pipeline: Pipeline, user: User, variables: list[PipelineVar]) -> list[Name]:
    """Every name that a layer gives, in three queries."""
    found: dict[str, Name] = {var.key: Name(var.key, everywhere=True) for var in variables}
    rows = StageVar.objects.filter(stage__pipeline=pipeline).select_related("stage").defer("sealed")
    for var in rows.order_by("stage__position"):
        found.setdefault(var.key, Name(var.key)).stages.append(var.stage)
    own = ConfigVar.objects.filter(layer="", key__in=found, app__coupling__pipeline=pipeline)
    apps: dict[str, list[str]] = defaultdict(list)
    for of, app in own.filter(app__in=app_access.apps_for(user)).values_list("key", "app__name"):
        apps[of].append(app)
    for name in found.values():
        name.apps = sorted(apps[name.key])
    return [found[of] for of in sorted(found)]
