"""A partner's manifest on the operators' site: checked, tried out step by step, and offered.

What is typed comes back with each answer, and so does the state of a trial, signed: the server keeps nothing of it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.models import User
from addons import manifests
from addons.models import AddonService
from addons.partner_trial import TITLES, Step, Trial
from core.errors import Refusal

SECONDS = 15.0  # that one answer may take, while somebody waits for the page
MOST_BYTES = 256 * 1024
WORLDS = ("production", "test")
SALT = "manifest-trial"


@dataclass
class Draft:
    """What an operator has typed, what it says, and how far it has been tried."""

    text: str
    world: str
    manifest: manifests.Manifest | None = field(default=None, repr=False)
    why: str = ""  # it is none
    trial: Trial | None = None
    done: list[Step] = field(default_factory=list)

    @classmethod
    def of(cls, request: HttpRequest) -> "Draft":
        """From a form; a file that is chosen goes before what is typed."""
        world = request.POST.get("world", "")
        draft = cls(_text(request), world if world in WORLDS else WORLDS[0])
        try:
            draft.manifest = manifests.parse(draft.text, world=draft.world)
        except Refusal as refusal:
            draft.why = refusal.message
        else:
            draft._go_on(request.POST.get("trial", ""))
        return draft

    @property
    def state(self) -> str:
        """How far the trial is, for the next request."""
        if self.trial is None or not self.done:
            return ""
        steps = [[step.name, step.fine, step.said] for step in self.done]
        told = {"of": self._digest(), "uuid": self.trial.uuid, "known": self.trial.known, "steps": steps}
        return signing.dumps(told, salt=SALT, compress=True)

    def _go_on(self, state: str) -> None:
        assert self.manifest is not None
        try:
            told = signing.loads(state, salt=SALT)
        except signing.BadSignature:
            told = {}
        if told.get("of") != self._digest():  # of another manifest
            told = {"uuid": "", "known": "", "steps": []}
        self.trial = Trial(self.manifest, uuid=told["uuid"], known=told["known"], seconds=SECONDS)
        self.done = [Step(*one) for one in told["steps"]]

    def _digest(self) -> str:
        return hashlib.sha256(f"{self.world}\n{self.text}".encode()).hexdigest()


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Ask for a manifest; a POST checks it."""
    draft = Draft.of(request) if request.method == "POST" else Draft("", WORLDS[0])
    return _show(request, draft, context)


def trial(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """A POST runs the next step of its trial, or with `rest` all that are left, or with `anew` begins again."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("admin:manifest"))
    draft = Draft.of(request)
    if draft.trial is not None and draft.manifest is not None:
        if "anew" in request.POST:
            draft.trial, draft.done = Trial(draft.manifest, seconds=SECONDS), []
        while name := draft.trial.after(draft.done):
            draft.done.append(draft.trial.step(name))
            if "rest" not in request.POST:
                break
    return _show(request, draft, context)


def offer(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """A POST loads it: people can order from then on."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("admin:manifest"))
    draft = Draft.of(request)
    assert isinstance(request.user, User)
    if draft.manifest is not None:
        try:
            partner = manifests.load(draft.manifest, by=request.user)
        except Refusal as refusal:
            draft.why = refusal.message
        else:
            messages.success(request, f"{partner.service.human_name} can be ordered.")
            return HttpResponseRedirect(
                reverse("admin:addons_addonservice_change", args=[partner.service.pk])
            )
    return _show(request, draft, context)


VIEWS: dict[str, tuple[str, Callable[[HttpRequest, dict[str, Any]], HttpResponse]]] = {
    "manifest": ("manifest/", page),
    "manifest-trial": ("manifest/trial/", trial),
    "manifest-offer": ("manifest/offer/", offer),
}


def _show(request: HttpRequest, draft: Draft, context: dict[str, Any]) -> HttpResponse:
    done = {step.name: step for step in draft.done}
    steps = draft.trial.steps() if draft.trial else []
    manifest = draft.manifest
    context |= {
        "title": "Add-on manifest",
        "draft": draft,
        "worlds": WORLDS,
        "known": AddonService.objects.filter(name=manifest.id).first() if manifest else None,
        "steps": [{"title": TITLES[name], "step": done.get(name)} for name in steps],
        "next": TITLES.get(draft.trial.after(draft.done), "") if draft.trial else "",
        "wrong": sum(not step.fine for step in draft.done),
    }
    return TemplateResponse(request, "admin/manifest.html", context, status=422 if draft.why else 200)


def _text(request: HttpRequest) -> str:
    file = request.FILES.get("file")
    if file is None or not file.size:
        return request.POST.get("manifest", "").replace("\r\n", "\n")[:MOST_BYTES]
    return file.read(MOST_BYTES).decode("utf-8", "replace").replace("\r\n", "\n")
