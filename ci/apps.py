from django.apps import AppConfig


class CiConfig(AppConfig):
    name = "ci"

    def ready(self) -> None:
        """Hear of pushes, answer for tests to whoever waits for them, and say who may read what they write."""
        from functools import partial

        from ci import access, outputs
        from ci.pushes import hear
        from ci.results import result_of
        from forge import checks
        from forge.events import follow
        from releases import streams

        follow(hear)
        checks.follow(result_of)
        checks.follow(partial(result_of, runs=False, host=True))
        for kind in ("test", "testnode"):
            streams.add_kind(kind, access.may_read, outputs.is_over)
