"""Services that somebody else provides over HTTP, and what is agreed with them on each add-on."""

import json
import uuid
from collections.abc import Mapping
from typing import ClassVar

from django.db import models
from django.utils import timezone

from addons.models import Addon, AddonService
from core import secrets


class Partner(models.Model):
    """Who provides a service: what its manifest says."""

    SEALED: ClassVar = {"sealed_password": "password_bound_to", "sealed_sso_salt": "sso_salt_bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    service = models.OneToOneField(AddonService, on_delete=models.CASCADE, related_name="partner")
    base_url = models.URLField(max_length=500, help_text="Its resources: POST here makes one.")
    sso_url = models.URLField(max_length=500, blank=True, help_text="Where people are signed in.")
    regions = models.JSONField(default=list)
    requires = models.JSONField(default=list)
    sealed_password = models.TextField(editable=False)
    sealed_sso_salt = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["service__name"]

    def __str__(self) -> str:
        return self.service.name

    @property
    def password_bound_to(self) -> str:
        """What the sealed password belongs to."""
        return f"partner/{self.pk}/password"

    @property
    def sso_salt_bound_to(self) -> str:
        """What the sealed salt belongs to."""
        return f"partner/{self.pk}/sso-salt"

    @property
    def password(self) -> str:
        """What both sides prove with who they are."""
        return secrets.unseal(self.sealed_password, to=self.password_bound_to).decode()

    @password.setter
    def password(self, text: str) -> None:
        self.sealed_password = secrets.seal(text.encode(), to=self.password_bound_to)

    @property
    def sso_salt(self) -> str:
        """What sign-ins are signed with."""
        return secrets.unseal(self.sealed_sso_salt, to=self.sso_salt_bound_to).decode()

    @sso_salt.setter
    def sso_salt(self, text: str) -> None:
        self.sealed_sso_salt = secrets.seal(text.encode(), to=self.sso_salt_bound_to)


class PartnerResource(models.Model):
    """One add-on as its partner knows it: what they call it, and with what they may speak of it."""

    class State(models.TextChoices):
        ASKED = "asked", "asked for"
        WAITING = "waiting", "the partner says when it is ready"
        READY = "ready", "the partner has said that it is ready"

    SEALED: ClassVar = {"sealed_config": "bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    addon = models.OneToOneField(Addon, on_delete=models.CASCADE, related_name="resource")
    provider_id = models.CharField(max_length=200, blank=True, help_text="What the partner calls it.")
    state = models.CharField(max_length=10, choices=State, default=State.ASKED)
    since = models.DateTimeField(default=timezone.now, help_text="When it was asked for.")
    sealed_config = models.TextField(blank=True, help_text="What the partner told before it was ready.")
    grant_digest = models.CharField(max_length=64, blank=True, db_index=True)
    grant_until = models.DateTimeField(null=True)
    token_digest = models.CharField(max_length=64, blank=True, db_index=True)
    token_until = models.DateTimeField(null=True)
    refresh_digest = models.CharField(max_length=64, blank=True, db_index=True)

    class Meta:
        ordering: ClassVar = ["-since"]

    def __str__(self) -> str:
        return self.provider_id or str(self.addon_id)

    @property
    def bound_to(self) -> str:
        """What the sealed config belongs to."""
        return f"partner-resource/{self.pk}"

    @property
    def config(self) -> dict[str, str]:
        """By suffix, as a provider answers it."""
        if not self.sealed_config:
            return {}
        found: dict[str, str] = json.loads(secrets.unseal(self.sealed_config, to=self.bound_to))
        return found

    @config.setter
    def config(self, values: Mapping[str, str]) -> None:
        self.sealed_config = secrets.seal(json.dumps(dict(values)).encode(), to=self.bound_to)
