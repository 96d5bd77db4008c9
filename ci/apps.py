from django.apps import AppConfig


class CiConfig(AppConfig):
    name = "ci"

    def ready(self) -> None:
        """Hear of pushes, and say who may read what tests write."""
        from ci import access, outputs
        from ci.pushes import hear
        from forge.events import follow
        from releases import streams

        follow(hear)
        for kind in ("test", "testnode"):
            streams.add_kind(kind, access.may_read, outputs.is_over)
