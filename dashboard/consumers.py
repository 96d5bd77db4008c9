"""The one websocket of a page: it passes on *that* something changed, and the lines of logs.

What it looks like now the page asks of an ordinary view, which decides for its own viewer what to draw. From the page:

    {"subscribe": ["app:<uuid>", "pipeline:<uuid>", "user:<uuid>", "addon:<uuid>"]}
    {"log": "build/<uuid>", "after": 17}              also "source" ("app router"), "dyno", "text", "level"; a negative "after" counts from the end
    {"log": "build/<uuid>", "seen": 42}               every fourth message of a log is confirmed so
    {"unlog": "build/<uuid>"}

To the page: `{"topic", "after"}`, of its own `user:` topic without asking, and `{"log", "lines": [[number, at, source, dyno, text], …], "after", "ended"}`.
"""

import asyncio
import json
import logging
import uuid
from contextlib import suppress
from typing import Any

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings
from django.utils.module_loading import import_string

from accounts import two_factor
from accounts.models import User
from addons import access as addon_access
from apps import access as app_access
from apps import logs
from core import live, metrics
from dashboard.pumps import Pump
from engine.logstore import KINDS, Query
from pipelines import access as pipeline_access
from releases.streams import may_read

log = logging.getLogger(__name__)
TOPICS, LOGS, MESSAGE_BYTES = 500, 16, 64 * 1024
CHECK_SECONDS = 3.0  # between two looks at whether everything is still allowed; I-31 promises 5
GONE = 4403


class PageConsumer(AsyncJsonWebsocketConsumer):
    """One socket a page. Its handlers are short, since its messages take turns; logs have a task each."""

    async def connect(self) -> None:
        """Only for people who are signed in, and have the second factor that is demanded of them."""
        self.topics: set[str] = set()
        self.pumps: dict[str, Pump] = {}
        self.checks: asyncio.Task[None] | None = None
        user = self.scope["user"]
        if not user.is_authenticated or await database_sync_to_async(two_factor.missing)(
            user, self.scope["session"]
        ):
            await self.close()
            return
        self.user: User = user
        await self.channel_layer.group_add(live.group(self._own), self.channel_name)
        await self.accept()
        metrics.WEBSOCKETS.inc()
        self.checks = asyncio.create_task(self._check_for_ever())

    async def disconnect(self, code: int) -> None:
        """End all that belongs to the socket."""
        if self.checks is None:
            return
        metrics.WEBSOCKETS.dec()
        self.checks.cancel()
        for stream in tuple(self.pumps):
            await self._unlog(stream)
        for topic in {*self.topics, self._own}:
            await self.channel_layer.group_discard(live.group(topic), self.channel_name)

    # --- from the page ------------------------------------------------------------------------------------------

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any
    ) -> None:
        """Pages send small JSON objects; whoever sends something else is no page of ours."""
        try:
            content = json.loads(text_data or "") if len(text_data or "") <= MESSAGE_BYTES else None
        except (ValueError, RecursionError):
            content = None
        if isinstance(content, dict):
            await self.receive_json(content)
        else:
            await self.close(4400)

    async def receive_json(self, content: dict[str, Any], **kwargs: Any) -> None:
        """One wish of the page. What is foreign, absent or malformed is passed over in silence."""
        if "subscribe" in content:
            await self._subscribe(_texts(content["subscribe"]))
        stream = content.get("log")
        if isinstance(stream, str):
            if "seen" in content:
                self._confirm(stream, _number(content["seen"]))
            else:
                await self._log(stream, content)
        if isinstance(content.get("unlog"), str):
            await self._unlog(content["unlog"])

    async def _subscribe(self, wished: set[str]) -> None:
        fresh = set(sorted(wished - self.topics)[: TOPICS - len(self.topics)])
        for topic in await database_sync_to_async(allowed)(self.user, fresh):
            self.topics.add(topic)
            await self.channel_layer.group_add(live.group(topic), self.channel_name)

    async def _log(self, stream: str, wish: dict[str, Any]) -> None:
        await self._unlog(stream)
        if len(self.pumps) >= LOGS or not await database_sync_to_async(may_read)(self.user, stream):
            return
        last = await asyncio.to_thread(logs.store().last, stream)
        after = _number(wish.get("after", 0))
        start = max(0, last + after) if after < 0 else min(after, last)
        self.pumps[stream] = pump = Pump(stream, start, _query(wish), self.send)
        await pump.start()

    def _confirm(self, stream: str, after: int) -> None:
        if stream in self.pumps:
            self.pumps[stream].confirm(after)

    async def _unlog(self, stream: str) -> None:
        pump = self.pumps.pop(stream, None)
        if pump is not None:
            await pump.stop()

    # --- from the platform ----------------------------------------------------------------------------------------

    async def nudge(self, event: dict[str, Any]) -> None:
        """Something changed: pass it on."""
        topic = event["topic"]
        if topic == self._own and not await self._still_allowed():
            return
        if topic in self.topics or topic == self._own:
            await self.send_json({"topic": topic, "after": event["after"]})

    # --- rights -----------------------------------------------------------------------------------------------------

    @property
    def _own(self) -> str:
        return f"user:{self.user.pk}"

    async def _check_for_ever(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                if not await self._still_allowed():
                    return
            except Exception:
                log.exception("Could not check the rights of a socket")
                await self.close(1011)  # what can't be checked is not allowed
                return

    async def _still_allowed(self) -> bool:
        """Whether the session, the account and every right are what they were; closes the socket if not."""
        session = import_string(f"{settings.SESSION_ENGINE}.SessionStore")(self.scope["session"].session_key)
        user = await get_user({"session": session})
        wished = self.topics | {f"log:{stream}" for stream in self.pumps}
        if user.pk == self.user.pk and wished == await database_sync_to_async(allowed)(user, wished):
            return True
        for stream in tuple(self.pumps):
            await self._unlog(stream)
        self.topics.clear()
        with suppress(Exception):  # it may be closed already
            await self.close(GONE)
        return False


def allowed(user: User, topics: set[str]) -> set[str]:
    """Those of `topics` that `user` may watch, in few queries however many they are."""
    found = {
        f"app:{pk}"
        for pk in app_access.apps_for(user).filter(pk__in=_ids("app", topics)).values_list("pk", flat=True)
    }
    pipelines = pipeline_access.pipelines_for(user).filter(pk__in=_ids("pipeline", topics))
    found |= {f"pipeline:{pk}" for pk in pipelines.values_list("pk", flat=True)}
    found |= {
        f"addon:{pk}"
        for pk in addon_access.addons_for(user)
        .filter(pk__in=_ids("addon", topics))
        .values_list("pk", flat=True)
    }
    found |= {f"user:{user.pk}"} & topics
    return found | {t for t in topics if t.startswith("log:") and may_read(user, t.removeprefix("log:"))}


def _ids(kind: str, topics: set[str]) -> list[uuid.UUID]:
    ids = []
    for topic in topics:
        if topic.startswith(f"{kind}:"):
            with suppress(ValueError):
                ids.append(uuid.UUID(topic.partition(":")[2]))
    return ids


def _query(wish: dict[str, Any]) -> Query:
    source, dyno, text = (str(wish.get(key) or "")[:500] for key in ("source", "dyno", "text"))
    words = source.split()
    kinds = [kind for kind in KINDS if kind in words or ("heroku" in words and kind != "app")]
    level = wish.get("level") if wish.get("level") in ("error", "warning") else ""
    return Query(text.encode(), str(level), dyno=dyno.encode(), kinds=tuple(kinds))


def _texts(value: Any) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list) else set()


def _number(value: Any) -> int:
    return value if isinstance(value, int) and abs(value) < 2**62 else 0
