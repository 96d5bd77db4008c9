from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import actions
from core.errors import Refusal


class Command(BaseCommand):
    help = "Creates an account: adduser EMAIL --password-file FILE [--operator] [--name NAME]"
    requires_system_checks = ()  # they load every page: a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument(
            "--password-file",
            required=True,
            help="a file whose first line is the password",
        )
        parser.add_argument("--operator", action="store_true", help="may use the admin site")
        parser.add_argument("--name", default="")

    def handle(self, *, email: str, password_file: str, operator: bool, name: str, **options: Any) -> None:
        try:
            password = Path(password_file).read_text().split("\n")[0]
            user = actions.create_user(email, password, by=None, operator=operator, name=name)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The password can't be read: {error}") from error
        except Refusal as refusal:
            raise CommandError(refusal.message) from refusal
        self.stdout.write(f"Created {user.email}{' (operator)' if operator else ''}.")
