from django.apps import AppConfig


class PipelinesConfig(AppConfig):
    name = "pipelines"

    def ready(self) -> None:
        """Say what apps inherit here, and which of them take code, or promotions, from whom."""
        from pipelines import guards, layers, origins
        from releases import doors
        from releases import layers as inheritance

        inheritance.follow(layers.inherited)
        doors.follow(origins.closed_to_code)
        guards.follow(origins.closed_to_promotions)
