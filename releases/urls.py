"""Git, the blobs of sources, and streams of output."""

from django.urls import include, path

from releases import git, sources

urlpatterns = [
    path("<str:name>.git/info/refs", git.info_refs, name="git-info-refs"),
    path(f"<str:name>.git/{git.UPLOAD}", git.upload_pack, name="git-upload-pack"),
    path(f"<str:name>.git/{git.RECEIVE}", git.receive_pack, name="git-receive-pack"),
    path("", include("releases.stream_urls")),
    path("_sources/<str:token>", sources.blob, name="source-blob"),
]
