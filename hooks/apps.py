from django.apps import AppConfig


class HooksConfig(AppConfig):
    name = "hooks"

    def ready(self) -> None:
        from core import changes
        from hooks.outbox import put

        changes.follow(put)
