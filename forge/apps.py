from django.apps import AppConfig


class ForgeConfig(AppConfig):
    name = "forge"

    def ready(self) -> None:
        from core import changes
        from forge import auto_deploys, credentials, events, own
        from releases import checkouts, pushed

        checkouts.lend(credentials.lent_to)
        pushed.follow(own.pushed)
        events.follow(auto_deploys.on_news)
        changes.follow(auto_deploys.on_change)
