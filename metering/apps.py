from django.apps import AppConfig


class MeteringConfig(AppConfig):
    name = "metering"

    def ready(self) -> None:
        from core import changes
        from metering.meters import heard

        changes.follow(heard)
