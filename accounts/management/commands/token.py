from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import actions
from accounts.models import User


class Command(BaseCommand):
    help = (
        "Makes an API token for an account and prints it as the last line: token EMAIL [--description TEXT]"
    )
    requires_system_checks = ()  # they load every page: a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--description", default="made on the console")

    def handle(self, *, email: str, description: str, **options: Any) -> None:
        user = User.objects.filter(email__iexact=email, is_active=True).first()
        if user is None:
            raise CommandError(f"Nobody here has the address {email}, or the account is suspended.")
        _, secret = actions.create_token(user, description, by=None)
        self.stdout.write(secret)
