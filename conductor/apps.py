from django.apps import AppConfig


class ConductorConfig(AppConfig):
    name = "conductor"

    def ready(self) -> None:
        from conductor.figures import note_end
        from core import changes

        changes.follow(note_end)
