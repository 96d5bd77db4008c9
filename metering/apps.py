from django.apps import AppConfig
from django.db.models.signals import post_migrate


class MeteringConfig(AppConfig):
    name = "metering"

    def ready(self) -> None:
        """Count from the first change on, and have a price for each size whenever the tables are there."""
        from core import changes
        from metering import prices
        from metering.meters import heard

        changes.follow(heard)
        post_migrate.connect(prices.fill, sender=self)
