"""Load balancers: one address for the apps that a pipeline shares one with."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from addons.models import Addon
from apps.models import url_of


class Balancer(models.Model):
    """How an add-on of a pipeline's own spreads requests over the apps of the stage that it is shared with."""

    USUAL = 100  # the weight of an app that nobody has given another

    addon = models.OneToOneField(Addon, on_delete=models.CASCADE, related_name="balancer")
    label = models.CharField(
        max_length=63, unique=True, help_text="Of its host name: longer than an app's name can be."
    )
    sticky = models.BooleanField(default=False, help_text="Visitors stay with the app that answered first.")
    weights = models.JSONField(
        default=dict, editable=False, help_text="{app id: weight} of those without the usual one."
    )

    class Meta:
        ordering: ClassVar = ["label"]

    def __str__(self) -> str:
        return self.label

    @property
    def host(self) -> str:
        """The host name that the apps share."""
        return host_of(self.label)

    @property
    def url(self) -> str:
        """Where visitors come to."""
        return url_of(self.label)


def host_of(label: str) -> str:
    """The host name with this label below that of all apps."""
    return f"{label}.{settings.APPS_HOST}".lower()
