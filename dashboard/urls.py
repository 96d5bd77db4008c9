"""The pages."""

urlpatterns: list = []
