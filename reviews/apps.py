from django.apps import AppConfig


class ReviewsConfig(AppConfig):
    name = "reviews"

    def ready(self) -> None:
        """Hear of pushes and pull requests, and of what becomes of the apps."""
        from core import changes
        from forge import events
        from reviews import news

        events.follow(news.heard)
        changes.follow(news.noticed)
