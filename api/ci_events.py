"""What `heroku ci --watch` listens to: Phoenix channels over a websocket, with a pipeline's test runs in them as they come and
go. The client gives its token in the address, since a websocket of its kind can say nothing else; no log has the address.

Frames are `[join_ref, ref, topic, event, payload]`.
"""

import asyncio
import json
import re
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from accounts import scopes
from accounts.models import ApiToken
from api.resources.test_runs import TestRunOut
from api.scopes import needed
from ci.models import TestRun
from core import live
from core.errors import Refusal, Unauthorized
from pipelines.access import pipeline_for

TOPIC = re.compile(r"events:pipelines/([0-9a-f-]{36})/test-runs")
LATEST = 15  # runs, as many as the client shows
PAUSE_SECONDS = 0.3  # between two looks at them
MESSAGE_BYTES = 16 * 1024
Runs = dict[str, dict[str, Any]]  # by id


class CiEvents(AsyncWebsocketConsumer):
    """One client, which watches one pipeline. Each look at the runs is one at its rights, too."""

    async def connect(self) -> None:
        """Take who has a token that may read pipelines."""
        self.pipeline, self.joined = "", ("", "")
        self.known: Runs = {}
        self.changed = asyncio.Event()
        self.watching: asyncio.Task[None] | None = None
        asked = parse_qs(self.scope["query_string"].decode("latin-1"))
        self.secret = asked.get("token", [""])[0]
        try:
            await database_sync_to_async(_bearer)(self.secret)
        except Refusal:
            await self.close()
            return
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """End what belongs to it."""
        if self.watching is not None:
            self.watching.cancel()
            await self.channel_layer.group_discard(live.group(f"pipeline:{self.pipeline}"), self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A frame of the client's; what is none is passed over."""
        match _frame(text_data or ""):
            case [_, str(ref), "phoenix", "heartbeat", _]:
                await self._say(None, ref, "phoenix", "phx_reply", _reply("ok"))
            case [str(join), str(ref), str(topic), "phx_join", _]:
                await self._join(join, ref, topic)

    async def nudge(self, event: dict[str, Any]) -> None:
        """Something in the pipeline has changed."""
        self.changed.set()

    async def _join(self, join: str, ref: str, topic: str) -> None:
        found = TOPIC.fullmatch(topic)
        try:
            if found is None or self.watching is not None:
                raise Refusal("There is one pipeline's test runs to join, by its id.")
            await self.channel_layer.group_add(live.group(f"pipeline:{found[1]}"), self.channel_name)
            self.known = await database_sync_to_async(_runs)(self.secret, found[1])
        except Refusal as no:
            await self._say(join, ref, topic, "phx_reply", _reply("error", reason=no.message))
            return
        self.pipeline, self.joined = found[1], (join, topic)
        self.watching = asyncio.create_task(self._watch())
        await self._say(join, ref, topic, "phx_reply", _reply("ok"))

    async def _watch(self) -> None:
        while True:
            await self.changed.wait()
            self.changed.clear()
            try:
                runs = await database_sync_to_async(_runs)(self.secret, self.pipeline)
            except Refusal:
                await self.close()
                return
            for id, run in sorted(runs.items(), key=lambda item: item[1]["number"]):
                if run != self.known.get(id):
                    event = "update" if id in self.known else "create"
                    await self._say(self.joined[0], None, self.joined[1], event, {"data": run})
            self.known = runs
            await asyncio.sleep(PAUSE_SECONDS)

    async def _say(self, join: str | None, ref: str | None, topic: str, event: str, payload: Any) -> None:
        await self.send(json.dumps([join, ref, topic, event, payload]))


def _bearer(secret: str) -> ApiToken:
    token = ApiToken.objects.presented(secret)
    if token is None:
        raise Unauthorized("Invalid credentials provided.")
    scopes.demand(token, needed("GET", "/pipelines/any/test-runs"))
    return token


def _runs(secret: str, pipeline: str) -> Runs:
    """The latest runs of the pipeline; `Refusal` for who may not see it, or no more."""
    found = pipeline_for(_bearer(secret).user, pipeline)
    rows = TestRun.objects.filter(pipeline=found).select_related("pipeline__team", "by").order_by("-number")
    return {str(row.pk): json.loads(TestRunOut.of(row).model_dump_json()) for row in rows[:LATEST]}


def _frame(text: str) -> Any:
    try:
        return json.loads(text) if len(text) <= MESSAGE_BYTES else None
    except (ValueError, RecursionError):
        return None


def _reply(status: str, **response: str) -> dict[str, Any]:
    return {"status": status, "response": response}
