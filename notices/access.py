"""Who may be told, judged when a notice is sent: rights may have gone since it was written."""

from accounts.access import VIEW
from apps import access as app_access
from notices.models import Notice
from pipelines import access as pipeline_access
from pipelines.models import Coupling


def why_not(notice: Notice) -> str:
    """Why its receiver may not be told of it; empty when they may."""
    if notice.user is not None:
        return _why_not_to_a_person(notice)
    return _why_not_to_a_channel(notice)


def _why_not_to_a_person(notice: Notice) -> str:
    user = notice.user
    assert user is not None
    if not user.is_active:
        return "They can't sign in any more."
    if notice.app is not None:
        seen = VIEW in app_access.rights_in(user, notice.app)
    else:
        seen = notice.pipeline is None or VIEW in pipeline_access.rights_in(user, notice.pipeline)
    return "" if seen else "They may not see it any more."


def _why_not_to_a_channel(notice: Notice) -> str:
    if notice.app is None or notice.app.destroyed_at is not None:
        return ""
    coupled = Coupling.objects.filter(app=notice.app, pipeline=notice.pipeline).exists()
    return "" if coupled else "Its app is not in the pipeline any more."
