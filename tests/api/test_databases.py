"""The data host's calls: databases, backups and stores, as `pg:*` and `redis:*` make them."""

import base64

import pytest
from django.test import AsyncClient

from addons import backup_files, databases
from addons.models import Addon, Attachment, Schedule, Transfer
from addons.orders import order_of
from addons.providers import provider_for
from tests.api.conftest import ApiClient
from tests.factories import make_addon, make_app
from tests.servers import _servers, servers  # noqa: F401


@pytest.fixture
def app(team):
    return make_app("shop", owner=team)


def provisioned(addon):
    """The same, with a server behind it."""
    addon = Addon.objects.whole().get(pk=addon.pk)
    made = provider_for(addon.service.name).provision(order_of(addon))
    addon.config = {"": dict(made.config)}
    addon.save()
    return addon


@pytest.fixture
def database(app, servers):  # noqa: F811
    addon = provisioned(make_addon(app, "heroku-postgresql:standard-0"))
    yield addon
    provider_for("heroku-postgresql").deprovision(order_of(addon))


@pytest.fixture
def store(app, servers):  # noqa: F811
    addon = provisioned(make_addon(app, "heroku-redis:mini", as_="REDIS"))
    yield addon
    provider_for("heroku-redis").deprovision(order_of(addon))


def kept(database, alice, text=b"PGDMP"):
    """A backup that has succeeded, with a file."""
    row = databases.capture(database, by=alice)
    Transfer.objects.filter(pk=row.pk).update(status="succeeded")
    backup_files.path(row.pk).write_bytes(text)
    return row


def test_pg_info_tells_connections_and_size(database, alice):
    answer = ApiClient(alice).get(f"/client/v11/databases/{database.pk}").json()
    facts = {fact["name"]: fact["values"][0] for fact in answer["info"]}
    assert facts["Status"] == "Available"
    assert facts["Connections"].endswith("/120")
    assert answer["resource_url"] == databases.url_of(database)


def test_a_viewer_sees_how_it_is_and_not_how_to_get_in(database, vera):
    api = ApiClient(vera)
    assert api.get(f"/client/v11/databases/{database.name}").json()["resource_url"] == ""
    assert api.get(f"/postgres/v0/databases/{database.name}/credentials").status_code == 403
    assert api.post(f"/client/v11/databases/{database.name}/backups").status_code == 403
    assert api.put(f"/client/v11/databases/{database.name}/reset").status_code == 403


def test_a_stranger_finds_nothing(database, store, charlie):
    api = ApiClient(charlie)
    for path in (
        f"/client/v11/databases/{database.pk}",
        f"/client/v11/databases/{database.pk}/wait_status",
        f"/client/v11/databases/{database.pk}/upgrade/wait_status",
        f"/client/v11/databases/{database.pk}/transfer-schedules",
        f"/postgres/v0/databases/{database.name}/credentials",
        f"/redis/v0/databases/{store.name}",
        "/client/v11/apps/shop/transfers",
    ):
        assert api.get(path).status_code == 404, path
    body = {"app": "shop", "url": databases.url_of(database)}
    assert api.post("/reports", body).status_code == 404


def test_credentials_are_told_to_who_gives_a_token_as_a_password(database, alice):
    api = ApiClient(alice)
    basic = base64.b64encode(f":{api.token}".encode()).decode()
    answer = api.get(
        f"/postgres/v0/databases/{database.name}/credentials/default", Authorization=f"Basic {basic}"
    )
    told = answer.json()
    assert told["credentials"][0]["password"] in databases.url_of(database)
    assert api.get(f"/postgres/v0/databases/{database.name}/credentials/none").status_code == 404


def test_credentials_are_made_rotated_and_dropped(database, alice):
    api = ApiClient(alice)
    path = f"/postgres/v0/databases/{database.name}"
    assert api.post(f"{path}/credentials", {"name": "analyst"}).status_code == 200
    database.refresh_from_db()
    assert database.tasks == [["credential", "analyst"]]
    assert api.post(f"{path}/credentials", {"name": "drop table"}).status_code == 422
    Addon.objects.filter(pk=database.pk).update(tasks=[], status="succeeded")
    assert api.post(f"{path}/credentials/default/credentials_rotation").status_code == 200
    database.refresh_from_db()
    assert database.tasks == [["credential", ""]]


def test_reset_and_killall_act_at_once(database, alice):
    import psycopg

    api = ApiClient(alice)
    with psycopg.connect(databases.url_of(database), autocommit=True) as inside:
        inside.execute("CREATE TABLE t (n int)")
        answer = api.post(f"/client/v11/databases/{database.pk}/connection_reset")
        assert answer.json() == {"message": "1 sessions ended."}
        with pytest.raises(psycopg.OperationalError):
            inside.execute("SELECT 1")
    assert api.put(f"/client/v11/databases/{database.pk}/reset").status_code == 200
    with psycopg.connect(databases.url_of(database), autocommit=True) as inside:
        assert inside.execute("SELECT to_regclass('t')").fetchone() == (None,)
        inside.execute("CREATE TABLE t (n int)")


def test_a_diagnosis_names_who_holds_others_up(database, alice):
    import psycopg

    with psycopg.connect(databases.url_of(database)) as inside:
        inside.execute("SELECT 1")
        answer = ApiClient(alice).post("/reports", {"app": "shop", "url": databases.url_of(database)})
    assert answer.status_code == 201
    checks = {check["name"]: check for check in answer.json()["checks"]}
    assert checks["Connection Count"]["status"] == "green"
    assert checks["Connection Count"]["results"][0]["connections"] == 1


def test_backups_are_captured_listed_cancelled_and_deleted(database, alice):
    api = ApiClient(alice)
    made = api.post(f"/client/v11/databases/{database.pk}/backups").json()
    assert (made["num"], made["from_type"], made["to_type"]) == (1, "pg_dump", "gof3r")
    assert [row["uuid"] for row in api.get("/client/v11/apps/shop/transfers").json()] == [made["uuid"]]
    assert api.get("/client/v11/apps/shop/transfers/1?verbose=true").json()["succeeded"] is None
    assert api("DELETE", "/client/v11/apps/shop/transfers/1").status_code == 409
    assert api.post(f"/client/v11/apps/shop/transfers/{made['uuid']}/actions/cancel").status_code == 200
    Transfer.objects.update(status="cancelled")
    assert api("DELETE", "/client/v11/apps/shop/transfers/1").status_code == 200
    assert api.get("/client/v11/apps/shop/transfers").json() == []


@pytest.mark.asyncio
@pytest.mark.django_db(transaction=True)
async def test_a_link_gives_the_file_for_a_while(database, alice, settings, tmp_path):
    from asgiref.sync import sync_to_async

    settings.DATA = tmp_path
    row = await sync_to_async(kept)(database, alice)
    api = await sync_to_async(ApiClient)(alice)
    told = (
        await sync_to_async(api.post)(f"/client/v11/apps/shop/transfers/{row.number}/actions/public-url")
    ).json()
    assert told["url"].startswith("https://")
    path = told["url"].removeprefix(f"https://{settings.URL.partition('//')[2]}")
    answer = await AsyncClient().get(path)
    assert b"".join([piece async for piece in answer.streaming_content]) == b"PGDMP"
    assert (await AsyncClient().get(path[:-2] + "xx")).status_code == 404
    await sync_to_async(databases.delete)(row, by=alice)
    assert (await AsyncClient().get(path)).status_code == 404


def test_a_restore_takes_the_address_that_the_list_gives(database, alice, charlie, settings, tmp_path):
    settings.DATA = tmp_path
    kept(database, alice)
    api = ApiClient(alice)
    address = api.get("/client/v11/apps/shop/transfers").json()[0]["to_url"]
    made = api.post(f"/client/v11/databases/{database.pk}/restores", {"backup_url": address})
    assert (made.status_code, made.json()["to_type"]) == (201, "pg_restore")

    theirs = make_addon(make_app("other", owner=charlie))
    stolen = ApiClient(charlie).post(f"/client/v11/databases/{theirs.pk}/restores", {"backup_url": address})
    assert stolen.status_code == 404
    elsewhere = {"backup_url": "https://example.com/x.dump"}
    assert api.post(f"/client/v11/databases/{database.pk}/restores", elsewhere).status_code == 422


def test_a_copy_goes_by_the_addresses_in_config_vars(database, app, alice):
    review = provisioned(make_addon(app, as_="REVIEW"))
    body = {
        "from_url": databases.url_of(database),
        "to_url": databases.url_of(review),
        "from_name": "A",
        "to_name": "B",
    }
    made = ApiClient(alice).post(f"/client/v11/databases/{review.pk}/transfers", body)
    assert (made.status_code, made.json()["from_name"]) == (201, database.name)
    body["from_url"] = "postgres://u:p@example.com/d"
    assert ApiClient(alice).post(f"/client/v11/databases/{review.pk}/transfers", body).status_code == 422
    provider_for("heroku-postgresql").deprovision(order_of(review))


def test_backups_are_scheduled(database, alice):
    api, path = ApiClient(alice), f"/client/v11/databases/{database.pk}/transfer-schedules"
    body = {"hour": "04", "timezone": "Europe/Paris", "schedule_name": "DATABASE_URL"}
    made = api.post(path, body)
    assert (made.status_code, made.json()["hour"]) == (201, 4)
    assert [row["name"] for row in api.get(path).json()] == ["DATABASE_URL"]
    assert api.post(path, {**body, "timezone": "Nowhere"}).status_code == 422
    assert api("DELETE", f"{path}/{made.json()['uuid']}").status_code == 200
    assert not Schedule.objects.exists()


def test_the_schedules_of_an_app_are_told_by_any_of_its_databases(database, app, alice):
    api = ApiClient(alice)
    other = make_addon(app, "heroku-postgresql:mini", as_="SECOND", name="second-db")
    elsewhere = make_addon(make_app("elsewhere", owner=alice), "heroku-postgresql:mini", name="third-db")
    for addon, name in ((other, "SECOND_URL"), (elsewhere, "DATABASE_URL")):
        body = {"hour": "3", "timezone": "UTC", "schedule_name": name}
        assert api.post(f"/client/v11/databases/{addon.name}/transfer-schedules", body).status_code == 201
    told = api.get(f"/client/v11/databases/{database.name}/transfer-schedules").json()
    assert [row["name"] for row in told] == ["SECOND_URL"]


def test_schedules_of_databases_that_are_not_shared_are_not_told(database, app, alice, charlie):
    """Charlie's app uses one database of the app alone."""
    other = make_addon(app, "heroku-postgresql:mini", as_="SECOND", name="second-db")
    Attachment.objects.create(addon=database, app=make_app("blog", owner=charlie), name="DATABASE")
    body = {"hour": "3", "timezone": "UTC", "schedule_name": "SECOND_URL"}
    assert (
        ApiClient(alice).post(f"/client/v11/databases/{other.name}/transfer-schedules", body).status_code
        == 201
    )
    path = f"/client/v11/databases/{database.name}/transfer-schedules"
    assert [row["name"] for row in ApiClient(alice).get(path).json()] == ["SECOND_URL"]
    assert ApiClient(charlie).get(path).json() == []


def test_who_waits_for_an_upgrade_is_told_that_there_is_none(database, alice):
    answer = ApiClient(alice).get(f"/client/v11/databases/{database.name}/upgrade/wait_status").json()
    assert answer == {"waiting?": False, "error?": False, "message": "no upgrade is under way"}


def test_a_store_tells_of_itself_and_is_configured(store, alice):
    api, path = ApiClient(alice), f"/redis/v0/databases/{store.name}"
    told = api.get(path).json()
    assert told["resource_url"] == databases.url_of(store)
    assert {"Memory", "Clients"} <= {fact["name"] for fact in told["info"]}
    changed = api.patch(f"{path}/config", {"maxmemory_policy": "allkeys-lru"}).json()
    assert changed["maxmemory_policy"]["value"] == "allkeys-lru"
    store.refresh_from_db()
    assert store.tasks == [["credential", ""]]
    assert api.get(f"{path}/wait").json()["waiting?"] is True
    Addon.objects.filter(pk=store.pk).update(tasks=[], status="succeeded")
    assert api.patch(f"{path}/config", {"timeout": -3}).status_code == 422
    assert api.get(f"/client/v11/databases/{store.pk}").status_code == 404


def test_what_databases_cant_do_is_said(database, alice):
    answer = ApiClient(alice).get(f"/postgres/v0/databases/{database.pk}/config")
    assert (answer.status_code, "can't do that" in answer.json()["message"]) == (404, True)
