from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AddonsConfig(AppConfig):
    name = "addons"

    def ready(self) -> None:
        """Have the catalog there whenever the tables are."""
        from addons import catalog

        post_migrate.connect(catalog.load_migrated, sender=self)
