from django.apps import AppConfig


class NoticesConfig(AppConfig):
    name = "notices"

    def ready(self) -> None:
        from core import changes
        from notices import inbox
        from notices.outbox import hear
        from pipelines import notifications

        changes.follow(hear)
        notifications.follow(inbox.of)
