from django.apps import AppConfig


class PipelinesConfig(AppConfig):
    name = "pipelines"

    def ready(self) -> None:
        """Say what apps inherit here, which of them take code, or promotions, from whom, and who makes load balancers."""
        from addons import providers
        from pipelines import balancing, guards, layers, origins
        from releases import doors
        from releases import layers as inheritance

        inheritance.follow(layers.inherited)
        providers.register(balancing.SERVICE, balancing.LoadBalancer())
        doors.follow(origins.closed_to_code)
        guards.follow(origins.closed_to_promotions)
