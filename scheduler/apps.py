from django.apps import AppConfig


class SchedulerConfig(AppConfig):
    name = "scheduler"

    def ready(self) -> None:
        """Hear of the ends of one-off dynos."""
        from core import changes
        from scheduler.runs import heard

        changes.follow(heard)
