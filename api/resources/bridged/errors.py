"""The error codes of apps, which the Heroku CLI asks the host of metrics for."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from api.asker import asker
from api.resources.bridged.hosts import METRICS
from api.shapes.base import Time
from apps import access as app_access
from apps import errors
from apps.models import Formation
from core.errors import Refusal

router = Router(tags=["Fixed hosts"])


class ErrorsOut(Schema):
    """How often each error came, hour by hour from `start_time` on."""

    start_time: Time
    end_time: Time
    step: str = "1h"
    data: dict[str, list[int]]


@router.get(f"/{METRICS}/apps/{{app}}/router-metrics/errors", response=ErrorsOut)
def router_errors(
    request: HttpRequest, response: HttpResponse, app: str, start_time: datetime, end_time: datetime
) -> ErrorsOut:
    """The router's error codes, counted in the app's log as far as it goes back."""
    found = app_access.app_for(asker(request), app)
    start, end = _aware(start_time), _aware(end_time)
    return _counted(response, errors.router_errors(found, start, end), start, end)


@router.get(f"/{METRICS}/apps/{{app}}/formation/{{type}}/metrics/errors", response=ErrorsOut)
def dyno_errors(
    request: HttpRequest,
    response: HttpResponse,
    app: str,
    type: str,
    start_time: datetime,
    end_time: datetime,
) -> ErrorsOut:
    """The error codes of a process type's dynos, counted in the app's log as far as it goes back."""
    found = app_access.app_for(asker(request), app)
    if not Formation.objects.filter(app=found, type=type).exists():
        # By the first three words the CLI knows that this is no failure.
        raise Refusal("invalid process_type provided", id="bad_request", status=400)
    start, end = _aware(start_time), _aware(end_time)
    return _counted(response, errors.dyno_errors(found, type, start, end), start, end)


def _counted(response: HttpResponse, found: errors.Errors, start: datetime, end: datetime) -> ErrorsOut:
    if found.since:
        began = f"{found.since:%Y-%m-%d %H:%M}"
        response.headers["Warning-Message"] = (
            f"The log goes back to {began} UTC only; older errors are not counted."
        )
    return ErrorsOut(start_time=start, end_time=end, data=found.counts)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise Refusal("Times end with their zone: 2026-01-31T12:00:00Z.")
    return moment
