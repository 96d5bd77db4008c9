from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts import actions
from accounts.models import User


class Command(BaseCommand):
    help = "Prints the one-time link that creates the first account, as long as there is none."
    requires_system_checks = ()  # they load every page: a second

    def handle(self, **options: Any) -> None:
        if User.objects.can_sign_in().exists():
            raise CommandError("There are accounts already. For one of them: manage.py signinlink EMAIL")
        self.stdout.write(f"{settings.URL}/setup/{actions.create_sign_in_link()}/")
