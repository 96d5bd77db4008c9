from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from addons import manifests
from addons.partner_trial import Trial
from core.errors import Refusal


class Command(BaseCommand):
    help = (
        "Offers the add-on that a manifest describes: addonmanifest FILE. With --try it asks the partner for "
        "one, changes and removes it, shows each answer, and loads nothing."
    )
    requires_system_checks = ()  # they load every page: a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--try", action="store_true", dest="try_out")
        parser.add_argument("--world", choices=["production", "test"], default="production")

    def handle(self, *, file: Path, try_out: bool, world: str, **options: Any) -> None:
        try:
            manifest = manifests.parse(file.read_text(), world=world)
            if try_out:
                self._try(manifest)
                return
            partner = manifests.load(manifest, by=None)
        except (OSError, UnicodeDecodeError) as fault:
            raise CommandError(f"{file} can't be read: {fault}") from fault
        except Refusal as refusal:
            raise CommandError(refusal.message) from refusal
        plans = ", ".join(plan.full_name for plan in partner.service.plans.all() if plan.state == "public")
        self.stdout.write(f"{partner.service.human_name} can be ordered: {plans}")

    def _try(self, manifest: manifests.Manifest) -> None:
        wrong = 0
        for step in Trial(manifest).run():
            wrong += not step.fine
            self.stdout.write(f"{'ok   ' if step.fine else 'WRONG'}  {step.title}: {step.said}")
        if wrong:
            raise CommandError(f"{wrong} answers are not as they must be.")
