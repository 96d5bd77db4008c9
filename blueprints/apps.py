from django.apps import AppConfig


class BlueprintsConfig(AppConfig):
    name = "blueprints"

    def ready(self) -> None:
        from blueprints import proposals, telling
        from forge import events
        from notices import tellers

        events.follow(proposals.heard)
        tellers.follow("plan-offered", telling.tell)
