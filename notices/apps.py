from django.apps import AppConfig


class NoticesConfig(AppConfig):
    name = "notices"

    def ready(self) -> None:
        from core import changes
        from notices.outbox import hear

        changes.follow(hear)
