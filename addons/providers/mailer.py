"""Mailer: an SMTP server that delivers nothing, with an inbox for each add-on."""

from collections.abc import Mapping
from uuid import UUID

from addons.providers import embedded
from addons.providers.base import Order, Provided
from addons.providers.passwords import password

MAILER = "mailer"  # the service


class Mailer:
    """Inboxes behind the platform's own SMTP server. Their mail is in the database, and goes with the add-on."""

    def why_not(self) -> str:
        """Why no dyno could send anything there."""
        return embedded.why_no_service(MAILER)

    def provision(self, order: Order) -> Provided | None:
        """Where the server listens, and whom to sign in as."""
        return self._provided(order)

    def change_plan(self, order: Order, plan: str, limits: Mapping[str, int]) -> Provided:
        """Nothing to change here: mail is held to the plan when it comes, and every few minutes."""
        return self._provided(order)

    def deprovision(self, order: Order) -> None:
        """Nothing to remove: mail goes with the add-on."""

    def credential(self, order: Order, name: str) -> Provided:
        """All share the default one. Follows a new password, and another address or port."""
        return self._provided(order)

    def drop_credential(self, order: Order, name: str) -> None:
        """There is none but the default one."""

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """Its inbox tells."""
        return []

    def _provided(self, order: Order) -> Provided:
        (host, port), user, secret = embedded.servers().mailer.ensure(), user_of(order), password_of(order)
        config = {
            "URL": f"smtp://{user}:{secret}@{host}:{port}",
            "SMTP_HOST": host,
            "SMTP_PORT": str(port),
            "SMTP_USER": user,
            "SMTP_PASSWORD": secret,
            "SMTP_SERVER": host,  # as Mailgun calls it
            "SMTP_LOGIN": user,
        }
        return Provided(config, message="The inbox is ready.")


def user_of(order: Order) -> str:
    """Whom an app signs in as."""
    return UUID(order.id).hex


def password_of(order: Order) -> str:
    """What it signs in with."""
    return password(order, "mailer")
