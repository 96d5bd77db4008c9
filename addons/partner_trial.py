"""Trying a partner out, before anybody orders from it: each request of an add-on's life, and what came back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django.conf import settings

from addons import partner_config, partner_drains
from addons.manifests import Manifest
from addons.models import AddonService
from addons.partners import fields_for
from addons.providers.wire import Reply, Wire, tidy
from core.errors import EngineError, Refusal
from engine.outbound import Outbound

SECONDS = 25.0


END = ("remove", "remove-again")  # what is tried of a partner that makes nothing
TITLES = {
    "password": "Refuse a wrong password",
    "provision": "Provision",
    "provision-again": "Provision once more, with the same UUID",
    "plan": "Change the plan",
    "sign-in": "Sign somebody in",
    "forged": "Refuse a forged sign-in",
    "remove": "Deprovision",
    "remove-again": "Deprovision once more",
}


@dataclass(frozen=True)
class Step:
    """One request, and whether its answer was as it must be."""

    name: str
    fine: bool
    said: str

    @property
    def title(self) -> str:
        """What is tried, for people."""
        return TITLES[self.name]


class Trial:
    """An add-on that nobody ordered, from the order to its end. `uuid` and `known`, what the partner calls it, go on with
    one that has begun."""

    def __init__(
        self, manifest: Manifest, *, uuid: str = "", known: str = "", seconds: float = SECONDS
    ) -> None:
        self.manifest = manifest
        self.wire = Wire(manifest.name, manifest.id, manifest.password, manifest.base_url, seconds)
        self.uuid = uuid or str(uuid4())
        self.known = known

    def run(self) -> Iterator[Step]:
        """The steps, one by one."""
        done: list[Step] = []
        while name := self.after(done):
            done.append(self.step(name))
            yield done[-1]

    def after(self, done: Sequence[Step]) -> str:
        """Which step comes after those that are `done`; "" when none does. After a first order that fails there is only
        the end left to try."""
        names = {step.name for step in done}
        made = all(step.fine for step in done if step.name == "provision")
        left = [name for name in self.steps() if name not in names]
        return next((name for name in left if made or name in END), "")

    def steps(self) -> list[str]:
        """The names of all steps, in their order. Nobody is signed in where the manifest has no `sso_url`."""
        return [name for name in TITLES if self.manifest.sso_url or name not in ("sign-in", "forged")]

    def step(self, name: str) -> Step:
        """Try one."""
        asks: dict[str, Callable[[], str]] = {
            "password": self._stranger,
            "provision": self._provision,
            "provision-again": self._again,
            "plan": self._replan,
            "sign-in": self._sign_in,
            "forged": self._forge,
            "remove": self._remove,
            "remove-again": self._remove,
        }
        try:
            return Step(name, True, asks[name]())
        except (EngineError, Refusal) as fault:
            text = fault.message if isinstance(fault, Refusal) else str(fault)
            return Step(name, False, text)

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
        if (url := reply.body.get("log_drain_url")) is not None:
            partner_drains.check(self.manifest.requires, url)
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

    def _sign_in(self) -> str:
        status = self._enter(self.manifest.sso_salt)
        if not 200 <= status < 400:
            raise Refusal(f"It answers {status} to a sign-in that is signed; a page or a redirect is right.")
        return f"{status}"

    def _forge(self) -> str:
        status = self._enter(f"not-{self.uuid}")
        if status not in (401, 403):
            raise Refusal(f"It answers {status} to a sign-in that is signed with another salt; 403 is right.")
        return f"{status}"

    def _enter(self, salt: str) -> int:
        fields = fields_for(
            self.uuid, self.known or self.uuid, salt,
            email="trial@example.com", user_id=self.uuid, app_name=f"{self.manifest.id}-trial",
        )  # fmt: skip
        return (
            Outbound(settings.OUTBOUND_ALLOW)
            .request(
                "POST",
                self.manifest.sso_url,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(fields).encode(),
                seconds=self.wire.seconds,
            )
            .status
        )

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
            **partner_drains.told(self.manifest.requires, self.uuid),
        }

    def _said(self, reply: Reply) -> str:
        """The status, the names of the config vars, the message; no value of a config var."""
        service = AddonService(first_name=self.manifest.prefix, config=self.manifest.suffixes)
        given = partner_config.by_suffix(service, reply.body.get("config") or {})
        names = sorted(reply.body.get("config") or {})
        later = "it says later that it is ready" if reply.status == 202 else ""
        parts = [str(reply.status), later, ", ".join(names), tidy(reply.message, without=given)]
        return "; ".join(part for part in parts if part)
