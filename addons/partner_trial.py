"""Trying a partner out, before anybody orders from it: each request of an add-on's life, and what came back."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from addons import partner_config
from addons.manifests import Manifest
from addons.models import AddonService
from addons.providers.wire import Reply, Wire, tidy
from core.errors import EngineError, Refusal

SECONDS = 25.0


@dataclass(frozen=True)
class Step:
    """One request, and whether its answer was as it must be."""

    title: str
    fine: bool
    said: str


class Trial:
    """An add-on that nobody ordered, from the order to its end."""

    def __init__(self, manifest: Manifest, *, seconds: float = SECONDS) -> None:
        self.manifest = manifest
        self.wire = Wire(manifest.name, manifest.id, manifest.password, manifest.base_url, seconds)
        self.uuid = str(uuid.uuid4())
        self.known = ""

    def run(self) -> Iterator[Step]:
        """The steps, one by one. After a first order that fails there is only the end left to try."""
        yield self._step("Refuse a wrong password", self._stranger)
        first = self._step("Provision", self._provision)
        yield first
        if first.fine:
            yield self._step("Provision once more, with the same UUID", self._again)
            yield self._step("Change the plan", self._replan)
        yield self._step("Deprovision", self._remove)
        yield self._step("Deprovision once more", self._remove)

    def _step(self, title: str, ask: Callable[[], str]) -> Step:
        try:
            return Step(title, True, ask())
        except (EngineError, Refusal) as fault:
            text = fault.message if isinstance(fault, Refusal) else str(fault)
            return Step(title, False, text)

    def _stranger(self) -> str:
        wire = replace(self.wire, password=f"not-{self.uuid}")
        reply = wire.raw("POST", "", self._order())
        if reply.status not in (401, 403):
            raise Refusal(f"It answers {reply.status} to a wrong password; 401 is right.")
        return f"{reply.status}"

    def _provision(self) -> str:
        reply = self.wire.ask("POST", "", self._order())
        told = reply.body.get("id")
        if isinstance(told, bool) or not isinstance(told, str | int | None):
            raise Refusal("The id is neither text nor number.")
        self.known = str(told or self.uuid)
        return self._said(reply)

    def _again(self) -> str:
        before = self.known
        said = self._provision()
        if self.known != before:
            raise Refusal(
                "The same UUID makes something else: an order that is sent twice would be made twice."
            )
        return said

    def _replan(self) -> str:
        plan = self.manifest.plans[-1]["name"]
        return self._said(self.wire.ask("PUT", f"/{self.known}", {"plan": plan}))

    def _remove(self) -> str:
        reply = self.wire.raw("DELETE", f"/{self.known or self.uuid}")
        if reply.status not in (404, 410) and not 200 <= reply.status < 300:
            raise Refusal(self.wire.why(reply))
        return f"{reply.status}"

    def _order(self) -> dict[str, Any]:
        return {
            "uuid": self.uuid,
            "name": f"{self.manifest.id}-trial",
            "plan": self.manifest.plans[0]["name"],
            "region": self.manifest.regions[0] if self.manifest.regions else "eu",
            "options": {},
            "callback_url": "",
            "oauth_grant": {},
        }

    def _said(self, reply: Reply) -> str:
        """The status, the names of the config vars, the message; no value of a config var."""
        service = AddonService(first_name=self.manifest.prefix, config=self.manifest.suffixes)
        given = partner_config.by_suffix(service, reply.body.get("config") or {})
        names = sorted(reply.body.get("config") or {})
        later = "it says later that it is ready" if reply.status == 202 else ""
        parts = [str(reply.status), later, ", ".join(names), tidy(reply.message, without=given)]
        return "; ".join(part for part in parts if part)
