"""What the CLI asks Heroku's data host about key-value stores."""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema

from addons import databases
from addons.models import Addon
from addons.orders import order_of
from addons.providers import provider_for
from api.asker import asker
from api.resources.databases import FactOut, MessageOut, wait_for
from api.shapes.base import Time
from core.errors import EngineError, NotFound
from engine.servers.valkey import POLICIES
from pipelines import databases as door

router = Router(tags=["Key-value stores"])


class StoreOut(Schema):
    """A key-value store. Its address is told to those who may see the config vars that hold it."""

    addon_id: UUID
    name: str
    plan: str
    created_at: Time
    port: int
    prefer_native_tls: bool
    resource_url: str
    version: str
    info: list[FactOut]


class StoreConfigIn(Schema):
    """What to change; what is absent stays."""

    maxmemory_policy: str | None = None
    timeout: int | str | None = None
    notify_keyspace_events: str | None = None


@router.get("/redis/v0/databases/{ref}", response=StoreOut)
def info(request: HttpRequest, ref: str) -> StoreOut:
    """One store: its memory, its clients, what it does when it is full."""
    by = asker(request)
    addon = door.database_for(by, ref, service=door.REDIS, to=door.VIEW)
    if not addon.sealed_config:
        raise NotFound(f"{addon.name} is not provisioned yet.", resource="database")
    url = databases.url_of(addon)
    try:
        facts = provider_for(addon.service.name).facts(order_of(addon))
    except EngineError as error:
        facts = [("Status", str(error))]
    # The CLI speaks plainly to plans called hobby only; here all of them listen on loopback, without TLS.
    plan = addon.plan.name if addon.plan.name.startswith("hobby") else f"hobby-{addon.plan.name}"
    return StoreOut(
        addon_id=addon.pk, name=addon.name, plan=plan, created_at=addon.created_at, port=urlsplit(url).port or 6379,
        prefer_native_tls=False, resource_url=url if door.may_enter(by, addon) else "",
        version=next((text for label, text in facts if label in ("Valkey", "Redis")), ""),
        info=[FactOut(name="Plan", values=[addon.plan.human_name])]
        + [FactOut(name=label, values=[text]) for label, text in facts],
    )  # fmt: skip


@router.get("/redis/v0/databases/{ref}/wait", response=dict[str, Any])
def wait(request: HttpRequest, ref: str) -> dict[str, Any]:
    """Whether a store is there yet."""
    return wait_for(door.database_for(asker(request), ref, service=door.REDIS, to=door.VIEW)).told()


@router.get("/redis/v0/databases/{ref}/config", response=dict[str, Any])
def config(request: HttpRequest, ref: str) -> dict[str, Any]:
    """How a store behaves."""
    return _told(door.database_for(asker(request), ref, service=door.REDIS, to=door.VIEW))


@router.patch("/redis/v0/databases/{ref}/config", response=dict[str, Any])
def change(request: HttpRequest, ref: str, body: StoreConfigIn) -> dict[str, Any]:
    """Change how a store behaves."""
    by = asker(request)
    addon = door.database_for(by, ref, service=door.REDIS)
    given = {key: str(value) for key, value in body.dict().items() if value is not None}
    return _told(databases.configure_store(addon, given, by=by))


@router.post("/redis/v0/databases/{ref}/credentials_rotation", response=MessageOut)
def rotate(request: HttpRequest, ref: str) -> MessageOut:
    """Have a new password made."""
    by = asker(request)
    addon = door.database_for(by, ref, service=door.REDIS)
    databases.rotate(addon, [""], by=by)
    return MessageOut(message=f"{addon.name} gets a new password.")


def _told(addon: Addon) -> dict[str, Any]:
    options = addon.options
    return {
        "maxmemory_policy": {
            "desc": "what it does when its memory is full",
            "value": options.get("maxmemory_policy", "noeviction"),
            "default": "noeviction",
            "values": POLICIES,
        },
        "timeout": {
            "desc": "seconds after which an idle client is hung up on",
            "value": int(options.get("timeout", "300")),
            "default": 300,
        },
        "notify_keyspace_events": {
            "desc": "which changes of keys are told to subscribers",
            "value": options.get("notify_keyspace_events", ""),
            "default": "",
        },
    }
