from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts import actions, two_factor
from accounts.models import User
from core import activity


class Command(BaseCommand):
    help = "Prints a link that signs someone in once: signinlink EMAIL [--without-two-factor]"
    requires_system_checks = ()  # they load every page: a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument(
            "--without-two-factor",
            action="store_true",
            help="also forget their authenticator app, passkeys and recovery codes",
        )

    def handle(self, *, email: str, without_two_factor: bool, **options: Any) -> None:
        user = User.objects.filter(email__iexact=email, is_active=True).first()
        if user is None:
            raise CommandError(f"Nobody who may sign in has the address {email}.")
        if without_two_factor:
            two_factor.turn_off(user, by=None)
        secret = actions.create_sign_in_link(user)
        activity.record(None, "made a sign-in link for", user)
        self.stdout.write(f"{settings.URL}/setup/{secret}/")
        self.stdout.write(f"It signs {user.email} in once, within {actions.LINK_HOURS} hours.")
