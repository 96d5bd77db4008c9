from django.apps import AppConfig


class SchedulerConfig(AppConfig):
    name = "scheduler"

    def ready(self) -> None:
        """Hear of the ends of one-off dynos, and of releases that bring jobs along."""
        from core import changes
        from scheduler import crontab, runs

        changes.follow(runs.heard)
        changes.follow(crontab.heard)
