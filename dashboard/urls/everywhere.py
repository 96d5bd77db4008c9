"""What every page has: search, and what is asked before it acts."""

from django.urls import path

from dashboard.views import jump

urlpatterns = [
    path("jump/", jump.jump, name="jump"),
    path("apps/<slug:name>/restarts/new/", jump.new_restart, name="restart-new"),
]
