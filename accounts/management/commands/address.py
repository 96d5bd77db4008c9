from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import actions
from accounts.models import User
from core.errors import Refusal


class Command(BaseCommand):
    help = "Gives someone another e-mail address: address OLD NEW"
    requires_system_checks = ()  # they load every page: a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("old")
        parser.add_argument("new")

    def handle(self, *, old: str, new: str, **options: Any) -> None:
        user = User.objects.filter(email__iexact=old).first()
        if user is None:
            raise CommandError(f"Nobody has the address {old}.")
        try:
            actions.change_address(user, new, by=None)
        except Refusal as refusal:
            raise CommandError(refusal.message) from refusal
        self.stdout.write(f"{old} is {user.email} now, and signs in with that.")
