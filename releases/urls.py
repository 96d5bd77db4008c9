"""Git and the blobs of sources."""

urlpatterns: list = []
