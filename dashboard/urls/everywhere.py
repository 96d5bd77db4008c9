"""What every page has: search."""

from django.urls import path

from dashboard.views import jump

urlpatterns = [
    path("jump/", jump.jump, name="jump"),
]
