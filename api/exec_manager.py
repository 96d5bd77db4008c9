"""What the CLI's ps:exec, ps:copy, ps:forward and ps:socks ask before they speak SSH: Heroku's exec manager. The app is the
user name of HTTP Basic, an API token the password."""

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import User
from api.bodies import BadBody, parse
from api.http import TokenAuth, basic
from apps import access, dyno_keys, one_offs
from apps.models import App, Dyno
from core.errors import Refusal
from engine.ssh.host_key import HostKey
from pipelines.access import demand_config

ITSELF = "127.0.0.1"  # a dyno, seen from within
View = Callable[..., HttpResponse]


def _answering(view: View) -> View:
    """`view`, which has refusals answered as the API does."""

    @csrf_exempt
    @wraps(view)
    def answering(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except BadBody as error:
            return _refused(Refusal(str(error), id="bad_request", status=error.status_code))
        except Refusal as refusal:
            return _refused(refusal)

    return answering


@_answering
@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Which dynos can be opened: `heroku ps:exec --status`."""
    _, app = _asked(request, to=access.VIEW)
    _demand_listening()
    names = app.dynos.filter(state=Dyno.State.UP, one_off=False).order_by("type", "number")
    found = dict.fromkeys(dyno.name for dyno in names)  # during a switch two have the same name
    return JsonResponse([{"dyno_name": name} for name in found], safe=False)


@_answering
@require_http_methods(["PUT"])
def key(request: HttpRequest, ref: str) -> HttpResponse:
    """Have a public key open a dyno: where, under which name, and by which key that place is known."""
    by, app = _asked(request, to=access.DEPLOY)
    demand_config(by, app)
    place = _demand_listening()
    dyno = one_offs.newest(app, ref)
    if dyno.state != Dyno.State.UP:
        raise Refusal(f"{dyno.name} does not run now: it is {dyno.state}. Look at heroku ps.")
    body = parse(request.body)
    given = body.get("client_key") if isinstance(body, dict) else None
    user = dyno_keys.register(app, dyno, given if isinstance(given, str) else "", by=by)
    answer = {
        "tunnel_host": place,
        "client_user": user,
        "proxy_public_key": HostKey(settings.DATA / "tls").public,
        "dyno_ip": ITSELF,
    }
    return JsonResponse(answer)


def _asked(request: HttpRequest, *, to: str) -> tuple[User, App]:
    by = TokenAuth()(request)
    name, _ = basic(request.headers.get("Authorization", ""))
    return by, access.app_for(by, name, to=to)


def _demand_listening() -> str:
    found = dyno_keys.listening()
    if not found.host:
        raise Refusal(off(found.why), status=503, id="unavailable")
    return found.host


def off(why: str) -> str:
    """What to tell who wants SSH where there is none."""
    return (
        f"Nothing here speaks SSH: {why}. The server's operator can change that (docs/cli.md, Into a dyno by SSH). A shell "
        "in a dyno that runs: heroku run:inside DYNO bash. A text file out of it: heroku run:inside DYNO 'cat FILE' > COPY."
    )


def _refused(refusal: Refusal) -> JsonResponse:
    body = {"id": refusal.id, "message": refusal.message, "url": ""}
    if refusal.resource:
        body["resource"] = refusal.resource
    headers = {"WWW-Authenticate": 'Basic realm="Slipway API"'} if refusal.status == 401 else {}
    return JsonResponse(body, status=refusal.status, headers=headers)


urlpatterns = [
    path("api/v2", status, name="exec-status"),
    path("api/v2/<str:ref>", key, name="exec-key"),
]
