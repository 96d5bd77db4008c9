"""Domains of apps, and the certificates that they are shown with."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from core import secrets
from core.jobs import Job, JobQuerySet
from engine import certificates


class Certificate(models.Model):
    """What an app shows to clients that come by TLS for a domain of its own. The key is sealed to the app and the
    row; what the certificate says is kept beside it, so that pages need not parse it."""

    SEALED: ClassVar = {"sealed_key": "bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey("apps.App", on_delete=models.CASCADE, related_name="certificates")
    name = models.CharField(max_length=30)
    chain = models.TextField(help_text="PEM, in order, its own certificate first.")
    sealed_key = models.TextField(editable=False)
    subject = models.TextField()
    issuer = models.TextField()
    cert_domains = models.JSONField(help_text="The host names that it is for; a star stands for one label.")
    starts_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    trusted = models.BooleanField(help_text="Up to an authority that this machine trusted when it was added.")
    automatic = models.BooleanField(default=False, help_text="It came by itself, and is renewed so.")
    self_signed = models.BooleanField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "name"], name="one_certificate_per_name")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def bound_to(self) -> str:
        """What the sealed key belongs to."""
        return f"app/{self.app_id}/certificate/{self.pk}"

    @property
    def key(self) -> str:
        """The plain key, PEM; `core.secrets.Tampered` when the row is not what was written."""
        return secrets.unseal(self.sealed_key, to=self.bound_to).decode()

    @key.setter
    def key(self, text: str) -> None:
        self.sealed_key = secrets.seal(text.encode(), to=self.bound_to)

    def take(self, facts: "certificates.Facts") -> None:
        """Be what `facts` says, from the next save on."""
        self.chain, self.key = facts.chain, facts.key
        self.subject, self.issuer = facts.subject, facts.issuer
        self.cert_domains = list(facts.domains)
        self.starts_at, self.expires_at = facts.starts_at, facts.expires_at
        self.trusted, self.self_signed = facts.trusted, facts.self_signed

    def covers(self, hostname: str) -> bool:
        """Whether it is for `hostname`."""
        return certificates.covers(self.cert_domains, hostname)


class Domain(models.Model):
    """A host name of the app's own, beside the one that the platform gives it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey("apps.App", on_delete=models.CASCADE, related_name="domains")
    hostname = models.CharField(max_length=253, unique=True)
    certificate = models.ForeignKey(
        Certificate, null=True, blank=True, on_delete=models.SET_NULL, related_name="domains"
    )
    acm_status = models.CharField(
        max_length=20, blank=True, editable=False, help_text="How getting its certificate went last."
    )
    acm_reason = models.CharField(max_length=300, blank=True, editable=False)
    acm_at = models.DateTimeField(null=True, editable=False)
    acm_failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row.")
    challenge = models.JSONField(
        default=dict, editable=False, help_text="What its router answers to the authority, by token."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["hostname"]

    def __str__(self) -> str:
        return self.hostname


class CertificateOrder(Job):
    """A certificate that is being got for a domain. The key that it will be for is sealed to the row."""

    SEALED: ClassVar = {"sealed_key": "bound_to"}

    class Status(models.TextChoices):
        """Where it stands."""

        PENDING = "pending"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey("apps.App", on_delete=models.CASCADE, related_name="certificate_orders")
    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="orders")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    sealed_key = models.TextField(blank=True, editable=False)
    address = models.URLField(max_length=500, blank=True, help_text="Of the order, at the authority.")
    challenge_address = models.URLField(max_length=500, blank=True, editable=False)
    reason = models.CharField(max_length=300, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["domain"],
                condition=models.Q(status__in=["pending", "running"]),
                name="one_open_order_per_domain",
            )
        ]

    def __str__(self) -> str:
        return f"certificate for {self.domain.hostname}"

    @property
    def bound_to(self) -> str:
        """What the sealed key belongs to."""
        return f"app/{self.app_id}/order/{self.pk}"

    @property
    def key(self) -> str:
        """The plain key, PEM; empty while there is none."""
        return secrets.unseal(self.sealed_key, to=self.bound_to).decode() if self.sealed_key else ""


class AuthorityAccount(models.Model):
    """This platform's account at a certificate authority."""

    SEALED: ClassVar = {"sealed_key": "bound_to"}

    url = models.URLField(max_length=500, unique=True, help_text="Of the authority's directory.")
    sealed_key = models.TextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.url

    @property
    def bound_to(self) -> str:
        """What the sealed key belongs to."""
        return f"authority/{self.url}"

    @property
    def key(self) -> str:
        """The plain key, PEM."""
        return secrets.unseal(self.sealed_key, to=self.bound_to).decode()
