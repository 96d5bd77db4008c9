"""The image that dynos run on: the stack's own, with a launcher and a home. One for all apps, never one for a release."""

import hashlib
import io
import tarfile
from pathlib import Path

from engine.drivers.swarm.client import Client

LAUNCHER = "/.slipway/launch"
HOME, SLUG = "/app", "/slug"
REPOSITORY = "slipway/run"
SOURCE = Path(__file__).with_name("launcher.pl")


def run_image(client: Client, stack: str) -> str:
    """The id of the image to run slugs on that were built for the image `stack`; made when it is not there yet."""
    base, archive = client.image(stack), _archive()
    tag = hashlib.sha256(base.encode() + archive).hexdigest()[:16]
    return client.amend(base, archive, (REPOSITORY, tag))


def _archive() -> bytes:
    """What is added: the same bytes every time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, mode in ((HOME, 0o1777), (SLUG, 0o755), (Path(LAUNCHER).parent, 0o755)):
            folder = tarfile.TarInfo(str(name).strip("/"))
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            archive.addfile(folder)
        link = tarfile.TarInfo("var/tmp")
        link.type, link.linkname = tarfile.SYMTYPE, "/tmp"  # noqa: S108 - the dyno's own, which can be written to
        archive.addfile(link)
        script = tarfile.TarInfo(LAUNCHER.strip("/"))
        text = SOURCE.read_bytes()
        script.size, script.mode = len(text), 0o755
        archive.addfile(script, io.BytesIO(text))
    return buffer.getvalue()
