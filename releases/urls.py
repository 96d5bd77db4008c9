"""Git, images, the blobs of sources and slugs, and streams of output."""

from django.urls import include, path, re_path

from releases import git, slug_uploads, sources
from releases.registry import front

urlpatterns = [
    path("<str:name>.git/info/refs", git.info_refs, name="git-info-refs"),
    path(f"<str:name>.git/{git.UPLOAD}", git.upload_pack, name="git-upload-pack"),
    path(f"<str:name>.git/{git.RECEIVE}", git.receive_pack, name="git-receive-pack"),
    path("", include("releases.stream_urls")),
    path("_sources/<str:token>", sources.blob, name="source-blob"),
    path("_slugs/<str:token>", slug_uploads.blob, name="slug-blob"),
    path("v2/", front.ping, name="registry-ping"),
    re_path(r"^v2/(?P<path>[\s\S]+)\Z", front.serve, name="registry"),
]
