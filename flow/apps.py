from django.apps import AppConfig


class FlowConfig(AppConfig):
    name = "flow"

    def ready(self) -> None:
        """Have a say in promotions, hear of what makes lines look again, and say who may read what gates write."""
        from core import changes
        from flow import guard, hearing, outputs
        from pipelines import guards
        from releases import streams

        guards.follow(guard.ask)
        changes.follow(hearing.heard)
        streams.add_kind(outputs.KIND, outputs.demand, outputs.is_over)
