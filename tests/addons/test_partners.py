"""Add-ons that somebody else provides: the sample as a real server, and partners that misbehave."""

import json
import subprocess
import sys
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts import actions as accounts
from addons import actions, catalog, manifests, partners
from addons.models import Addon, AddonService, Partner, PartnerResource
from addons.partner_trial import Trial
from addons.providers import wire
from api.http import allowance
from apps import drains
from apps.models import LogDrain
from core.errors import Refusal
from core.models import Event
from tests.addons.test_ordering import newest, work
from tests.factories import make_app, make_pipeline

SAMPLE = Path(__file__).parents[2] / "samples" / "partner"
ACCEPT = "application/vnd.heroku+json; version=3"


def manifest_at(url, **changes):
    told = json.loads((SAMPLE / "addon-manifest.json").read_text())
    for world in ("production", "test"):
        told["api"][world] = {"base_url": f"{url}/heroku/resources", "sso_url": f"{url}/sso/login"}
    return json.dumps({**told, **changes})


@pytest.fixture(scope="module")
def sample():
    """Where the sample provider answers."""
    command = [
        sys.executable,
        str(SAMPLE / "provider.py"),
        str(SAMPLE / "addon-manifest.json"),
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        yield running.stdout.readline().strip()
        running.terminate()


@pytest.fixture(autouse=True)
def allowed(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    allowance._buckets.clear()


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice, released=True)


class Odd:
    """A partner that answers whatever it is told to: (status, body), or `hang`."""

    def __init__(self):
        self.answers, self.asked, self.over = [], [], threading.Event()
        odd = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                is_form = "form" in self.headers.get("Content-Type", "")
                odd.asked.append((self.command, self.path, {} if is_form else json.loads(body or b"{}")))
                told = odd.answers.pop(0) if odd.answers else (204, b"")
                if told == "hang":
                    odd.over.wait(30)
                    return
                status, data = told
                data = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def odd(db):
    odd = Odd()
    manifests.load(manifests.parse(manifest_at(odd.url)), by=None)
    yield odd
    odd.over.set()
    odd.server.shutdown()
    odd.server.server_close()


def order(app, by, plan="notes:small"):
    addon = actions.provision(app, catalog.plan_called(plan), by=by)
    work()
    return Addon.objects.whole().get(pk=addon.pk)


# --- manifests --------------------------------------------------------------------------------------------------------


def test_a_manifest_makes_a_service_with_its_plans(odd):
    service = AddonService.objects.get(name="notes")
    assert (service.human_name, service.first_name, service.config) == ("Notes", "NOTES", ["URL", "TOKEN"])
    assert catalog.plan_called("notes").full_name == "notes:small" and catalog.why_not(service) == ""
    told = json.loads(manifest_at(odd.url, name="Better notes", plans=[{"name": "large"}]))
    manifests.load(manifests.parse(json.dumps(told)), by=None)
    service.refresh_from_db()
    states = dict(service.plans.values_list("name", "state"))
    assert service.human_name == "Better notes" and catalog.plan_called("notes").name == "large"
    assert states == {"small": "deprecated", "large": "public", "slow": "deprecated"}


def test_it_takes_no_service_of_slipways_own(odd):
    told = json.loads(manifest_at(odd.url, id="heroku-redis"))
    told["api"]["config_vars"] = ["HEROKU_REDIS_URL"]
    with pytest.raises(Refusal, match="Slipway's own"):
        manifests.load(manifests.parse(json.dumps(told)), by=None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": "Notes!"}, "id has small letters"),
        ({"api": {}}, "api.production is no JSON object"),
        ({"plans": [{"name": "a", "price_cents": -1}]}, "price_cents of a"),
        ({"plans": [{"name": "a"}, {"name": "a"}]}, "names one twice"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said(changes, says):
    with pytest.raises(Refusal, match=says):
        manifests.parse(manifest_at("http://127.0.0.1:1", **changes))


def test_config_vars_begin_with_its_name():
    told = json.loads(manifest_at("http://127.0.0.1:1"))
    told["api"]["config_vars"] = ["DATABASE_URL"]
    with pytest.raises(Refusal, match="does not begin with NOTES_"):
        manifests.parse(json.dumps(told))


def test_the_command_tries_it_step_by_step_and_loads_it(db, sample, tmp_path):
    file, out = tmp_path / "manifest.json", StringIO()
    file.write_text(manifest_at(sample))
    call_command("addonmanifest", str(file), "--try", stdout=out)
    assert out.getvalue().count("ok ") == 8 and "NOTES_TOKEN, NOTES_URL" in out.getvalue()
    assert not Partner.objects.exists()
    call_command("addonmanifest", str(file), stdout=out)
    assert "notes:small, notes:large, notes:slow" in out.getvalue()
    file.write_text("{")
    with pytest.raises(CommandError, match="no JSON in line 1"):
        call_command("addonmanifest", str(file))


def test_a_trial_shows_what_is_wrong_and_no_value(odd):
    manifest = manifests.parse(manifest_at(odd.url))
    odd.answers = [(200, {}), (200, {"id": 1, "config": {"NOTES_TOKEN": "tell-nobody"}, "message": "tell-nobody"}),
                   (200, {"id": 2}), (500, b"<html>"), (302, b""), (200, b""), (204, b""), (410, b"")]  # fmt: skip
    steps = list(Trial(manifest).run())
    assert [step.fine for step in steps] == [False, True, False, False, True, False, True, True]
    assert "tell-nobody" not in str(steps) and "sent twice would be made twice" in steps[2].said


def test_a_trial_looks_where_the_log_is_wanted(odd):
    manifest = manifests.parse(manifest_at(odd.url))
    odd.answers = [(401, b""), (200, {"log_drain_url": "https://10.1.2.3/"})]
    steps = list(Trial(manifest).run())
    assert not steps[1].fine and "internal address" in steps[1].said
    assert odd.asked[1][2]["log_drain_token"] == f"d.{odd.asked[1][2]['uuid']}"


# --- the sample -------------------------------------------------------------------------------------------------------


def test_an_app_gets_its_config_vars_another_plan_and_loses_them(sample, app, alice):
    manifests.load(manifests.parse(manifest_at(sample)), by=alice)
    addon = order(app, alice)
    assert (addon.state, addon.message) == ("provisioned", "Notes are kept from now on.")
    config = newest(app).config
    assert config["NOTES_URL"] == f"https://notes.example/{addon.pk}" and len(config["NOTES_TOKEN"]) == 32
    actions.change_plan(addon, catalog.plan_called("notes:large"), by=alice)
    work()
    addon = Addon.objects.whole().get(pk=addon.pk)
    assert (addon.plan.name, addon.message) == ("large", "The plan has changed.")
    assert newest(app).config == config
    actions.destroy(addon, confirm=addon.name, by=alice)
    work()
    assert not Addon.objects.exists() and not PartnerResource.objects.exists() and newest(app).config == {}


def test_it_gets_the_log_of_the_app_that_it_belongs_to(sample, app, alice):
    manifests.load(manifests.parse(manifest_at(sample)), by=alice)
    addon = order(app, alice)
    drain = app.log_drains.get()
    assert (drain.addon, drain.token) == (addon.pk, f"d.{addon.pk}")
    assert drain.url.endswith(f"/logs/{addon.pk}") and newest(app).config["NOTES_TOKEN"] in drain.url
    assert newest(app).config["NOTES_TOKEN"] not in drain.shown_url
    assert Event.objects.get(verb="added", app_id=app.pk).actor == alice.email
    own = drains.add_drain(app, "http://127.0.0.1:9/", by=alice)
    headers = {
        "Authorization": f"Bearer {accounts.create_token(alice, 'laptop', by=alice)[1]}",
        "Accept": ACCEPT,
    }
    told = Client().get("/apps/shop/log-drains", headers=headers).json()
    app_ref = {"id": str(app.pk), "name": "shop"}
    assert [row["addon"] for row in told] == [{"id": str(addon.pk), "name": addon.name, "app": app_ref}, None]
    answer = Client().delete(f"/apps/shop/log-drains/{drain.pk}", headers=headers)
    assert answer.status_code == 422 and "goes with it" in answer.json()["message"]
    browser = Client()
    browser.force_login(alice)
    page = browser.get("/apps/shop/outlets/").content.decode()
    assert f"comes with {addon.name}" in page and page.count(">Remove</button>") == 1
    actions.destroy(addon, confirm=addon.name, by=alice)
    assert list(app.log_drains.all()) == [own]


def test_it_gets_no_log_that_its_manifest_does_not_ask_for(odd, app, alice):
    told = json.loads(manifest_at(odd.url))
    told["api"]["requires"] = []
    manifests.load(manifests.parse(json.dumps(told)), by=None)
    odd.answers = [(201, {"config": {}, "log_drain_url": "http://127.0.0.1:9/"})]
    addon = order(app, alice)
    assert addon.state == "failed" and "manifest does not require syslog_drain" in addon.message
    assert "log_drain_token" not in odd.asked[0][2] and not app.log_drains.exists()


def test_one_of_a_pipeline_s_own_is_promised_no_log(odd, app, alice):
    plan = catalog.plan_called("notes:small")
    odd.answers = [(201, {"config": {}, "log_drain_url": "http://127.0.0.1:9/"})]
    addon = actions.order_for_pipeline(make_pipeline("shop", owner=alice), plan, by=alice)
    work()
    addon.refresh_from_db()
    assert addon.state == "provisioned"
    assert odd.asked[0][2]["uuid"] == str(addon.pk) and "log_drain_token" not in odd.asked[0][2]
    assert not LogDrain.objects.exists()


def test_its_partner_may_say_later_where_the_log_goes(odd, app, alice):
    odd.answers = [(202, {})]
    addon = order(app, alice)
    told = odd.asked[0][2]
    token = token_for(told["oauth_grant"]["code"]).json()["access_token"]
    there = f"/addons/{addon.pk}/log-drains"
    for port in (9, 10):
        body = {"url": f"http://127.0.0.1:{port}/"}
        answer = partner_call("PUT", f"{there}/{told['log_drain_token']}", token, body)
        assert answer.status_code == 200, answer.content
    headers = {
        "Authorization": f"Bearer {accounts.create_token(alice, 'laptop', by=alice)[1]}",
        "Accept": ACCEPT,
    }
    (drain,) = Client().get(there, headers=headers).json()
    assert (drain["url"], drain["addon"]["name"]) == ("http://127.0.0.1:10/", addon.name)
    assert partner_call("PUT", f"{there}/d.other", token, body).status_code == 404
    assert partner_call("PUT", f"{there}/{told['log_drain_token']}", token, {"url": "x"}).status_code == 422
    Partner.objects.update(requires=[])
    assert partner_call("PUT", f"{there}/{told['log_drain_token']}", token, body).status_code == 422


def test_an_order_that_fails_later_takes_its_log_drain_along(odd, app, alice):
    odd.answers = [(202, {"log_drain_url": "http://127.0.0.1:9/"})]
    addon = order(app, alice)
    assert app.log_drains.get().addon == addon.pk
    PartnerResource.objects.update(since=timezone.now() - timedelta(hours=13))
    Addon.objects.update(wake_at=None)
    work()
    addon.refresh_from_db()
    assert addon.state == "failed" and not app.log_drains.exists()


def test_people_are_signed_in_there_by_a_form(sample, app, alice):
    import urllib.parse
    import urllib.request

    manifests.load(manifests.parse(manifest_at(sample)), by=alice)
    made = partners.sign_in(order(app, alice), "shop", by=alice)
    body = urllib.parse.urlencode(made.fields).encode()
    with urllib.request.urlopen(made.url, body, timeout=10) as answer:
        assert b"Notes of shop" in answer.read()
    forged = urllib.parse.urlencode({**made.fields, "resource_id": "another"}).encode()
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(made.url, forged, timeout=10)


# --- partners that say later that they are ready ----------------------------------------------------------------------


def partner_call(method, path, token, body=None):
    return Client().generic(
        method, path, json.dumps(body) if body else "", content_type="application/json",
        headers={"Authorization": f"Bearer {token}", "Accept": ACCEPT},
    )  # fmt: skip


def token_for(code, secret="change-this-password", **more):
    fields = {"grant_type": "authorization_code", "code": code, "client_secret": secret, **more}
    return Client().post("/oauth/token", fields)


def test_it_is_ready_when_its_partner_says_so(odd, app, alice):
    odd.answers = [(202, {"id": "n-1"})]
    addon = order(app, alice)
    assert addon.state == "provisioning" and addon.wake_at and addon.lease_token is None
    told = odd.asked[0][2]
    assert told["uuid"] == str(addon.pk) and told["plan"] == "small" and told["name"] == addon.name
    code = told["oauth_grant"]["code"]
    assert token_for(code, "wrong").status_code == 400
    granted = token_for(code).json()
    assert token_for(code).status_code == 400, "a code is good for once"
    there, token = f"/addons/{addon.pk}", granted["access_token"]
    config = {"config": [{"name": "NOTES_URL", "value": "https://n/1"}]}
    assert partner_call("PATCH", f"{there}/config", token, config).json() == [
        {"name": "NOTES_URL", "value": "https://n/1"}
    ]
    assert newest(app).version == 1
    assert partner_call("POST", f"{there}/actions/provision", token).status_code == 200
    work()
    addon.refresh_from_db()
    assert addon.state == "provisioned" and newest(app).config == {"NOTES_URL": "https://n/1"}
    assert newest(app).version == 2 and len(odd.asked) == 1
    assert partner_call("POST", f"{there}/actions/provision", token).status_code == 200, "twice is as good"
    config["config"][0]["value"] = "https://n/2"
    partner_call("PATCH", f"{there}/config", token, config)
    assert newest(app).version == 3 and newest(app).config == {"NOTES_URL": "https://n/2"}
    partner_call("PATCH", f"{there}/config", token, config)
    assert newest(app).version == 3, "nothing changed, so nothing is released"


def test_a_token_speaks_of_one_add_on_and_is_renewed(odd, app, alice):
    odd.answers = [(202, {}), (202, {})]
    order(app, alice)
    other = order(app, alice)
    code = odd.asked[0][2]["oauth_grant"]["code"]
    granted = token_for(code).json()
    path = f"/addons/{other.pk}/actions/provision"
    assert partner_call("POST", path, granted["access_token"]).status_code == 404
    assert partner_call("GET", "/apps", granted["access_token"]).status_code == 401
    fields = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
    renewed = Client().post("/oauth/token", {**fields, "client_secret": "change-this-password"})
    first = f"/addons/{odd.asked[0][2]['uuid']}/actions/provision"
    assert partner_call("POST", first, granted["access_token"]).status_code == 401
    assert partner_call("POST", first, renewed.json()["access_token"]).status_code == 200


def test_only_names_of_the_manifest_are_set(odd, app, alice):
    odd.answers = [(201, {"config": {}})]
    addon = order(app, alice)
    token = token_for(odd.asked[0][2]["oauth_grant"]["code"]).json()["access_token"]
    body = {"config": [{"name": "DATABASE_URL", "value": "x"}]}
    answer = partner_call("PATCH", f"/addons/{addon.pk}/config", token, body)
    assert answer.status_code == 422 and "not in its manifest" in answer.json()["message"]


# --- partners that misbehave ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((200, b"<html>hello</html>"), "no JSON object"),
        ((200, {"config": {"DATABASE_URL": "secret-value"}}), "DATABASE_URL is not in its manifest"),
        ((200, {"config": {"NOTES_URL": ["secret-value"]}}), "NOTES_URL has a value that is no text"),
        ((200, {"config": {"NOTES_URL": "\ud800"}}), "NOTES_URL has a value that is no text"),
        ((200, {"id": "a\0", "config": {}}), "an id that is none"),
        ((200, {"config": {}, "log_drain_url": 7}), "address of its log drain is no URL"),
        ((200, {"config": {}, "log_drain_url": "ftp://p:secret-value@127.0.0.1/"}), "Notes wants logs: "),
        ((200, {"config": {}, "log_drain_url": "https://10.1.2.3/"}), "internal address"),
        ((422, {"message": "No\nroom\u0000 for change-this-password"}), "Notes says: No room for …"),
        ((401, b""), "does not accept the password"),
        ((302, b""), "status 302"),
    ],
)
def test_a_wrong_answer_ends_in_words_and_what_may_be_there_is_removed(odd, app, alice, answer, says):
    odd.answers = [answer]
    addon = order(app, alice)
    assert addon.state == "failed" and says in addon.message and "secret-value" not in addon.message
    assert [asked[0] for asked in odd.asked] == ["POST", "DELETE"] and newest(app).version == 1


def test_an_outage_is_tried_again_with_the_same_uuid(odd, app, alice):
    odd.answers = [(503, {"message": "Come back later."}), (201, {"id": 7, "config": {"NOTES_URL": "u"}})]
    addon = order(app, alice)
    assert addon.state == "provisioning"
    Addon.objects.update(wake_at=None)
    work()
    addon.refresh_from_db()
    assert addon.state == "provisioned" and odd.asked[0][2]["uuid"] == odd.asked[1][2]["uuid"]
    assert PartnerResource.objects.get().provider_id == "7"


def test_who_hangs_is_not_waited_for(odd, app, alice, monkeypatch, caplog):
    monkeypatch.setattr(wire, "SECONDS", 0.3)
    odd.answers = ["hang", "hang"]
    addon = order(app, alice)
    assert addon.wake_at and "takes too long" in caplog.text
    manifest = manifests.parse(manifest_at(odd.url))
    step = next(Trial(manifest, seconds=0.3).run())
    assert not step.fine and "takes too long" in step.said
    assert addon.state == "provisioning" and "change-this-password" not in caplog.text


def test_an_internal_address_is_not_asked(odd, app, alice, settings):
    settings.OUTBOUND_ALLOW = []
    addon = order(app, alice)
    assert addon.state == "failed" and "internal address" in addon.message and odd.asked == []


def test_secrets_are_nowhere_to_be_read(odd, app, alice):
    odd.answers = [(201, {"config": {"NOTES_TOKEN": "tell-nobody"}, "message": "It is tell-nobody"})]
    addon = order(app, alice)
    events = str(list(Event.objects.values_list("details", flat=True)))
    assert addon.message == "It is …" and "tell-nobody" not in events
    partner = Partner.objects.get()
    assert "change-this" not in f"{partner.sealed_password}{partner.sealed_sso_salt}{wire.Wire.to(partner)}"


# --- the page that leads there ----------------------------------------------------------------------------------------


def test_a_page_says_where_it_leads_and_its_form_is_let_out(odd, app, alice, vera, client):
    odd.answers = [(201, {"config": {"NOTES_URL": "u"}})]
    addon = order(app, alice)
    path = f"/addons/{addon.name}/sign-in/"
    client.force_login(vera)
    assert client.get(path).status_code == 404
    client.force_login(alice)
    shown = client.get(f"/apps/shop/addons/{addon.name}/")
    assert f'href="{path}"' in shown.content.decode()
    page = client.get(path)
    assert f'action="{odd.url}/sso/login"' in page.content.decode()
    assert odd.url in page.headers["Content-Security-Policy"].partition("form-action ")[2].split(";")[0]
    assert "change-this" not in page.content.decode()
    Partner.objects.update(sso_url="")
    assert client.get(path).headers["Location"] == f"/addons/{addon.name}/"
    assert path not in client.get(f"/apps/shop/addons/{addon.name}/").content.decode()
