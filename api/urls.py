"""The Platform API."""

urlpatterns: list = []
