from django.apps import AppConfig


class FlowConfig(AppConfig):
    name = "flow"

    def ready(self) -> None:
        """Have a say in promotions, and hear of what makes lines look again."""
        from core import changes
        from flow import guard, hearing
        from pipelines import guards

        guards.follow(guard.ask)
        changes.follow(hearing.heard)
