from django.apps import AppConfig


class AppsConfig(AppConfig):
    name = "apps"

    def ready(self) -> None:
        """Write down what becomes of dynos."""
        from apps.dyno_events import heard
        from core import changes

        changes.follow(heard)
