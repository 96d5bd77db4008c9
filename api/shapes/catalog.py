"""What the platform has to choose from: features, stacks and regions."""

from typing import Self
from uuid import UUID

from api.shapes.base import SINCE, Named, Schema, Time


class FeatureOut(Schema):
    """Something that can be on or off, or is told to be so for good."""

    id: UUID
    name: str
    description: str
    display_name: str
    doc_url: str = ""
    enabled: bool
    feedback_email: str = ""
    state: str = "general"
    created_at: Time
    updated_at: Time

    @classmethod
    def fixed(cls, kind: str, name: str, text: str, *, enabled: bool) -> Self:
        """A feature of a team, an account or an app; its id is always the same."""
        named = Named.fixed(f"{kind}-feature", name)
        return cls(
            id=named.id,
            name=name,
            description=text,
            display_name=name.replace("-", " ").capitalize(),
            enabled=enabled,
            created_at=SINCE,
            updated_at=SINCE,
        )


class StackOut(Schema):
    """A stack."""

    id: UUID
    name: str
    state: str = "public"
    default: bool = True
    created_at: Time
    updated_at: Time


class RegionOut(Schema):
    """Where dynos run: here."""

    id: UUID
    name: str
    country: str = "Your own"
    locale: str = "Here"
    description: str = "The machines that this Slipway runs on"
    private_capable: bool = False
    provider: dict[str, str]
    created_at: Time
    updated_at: Time
