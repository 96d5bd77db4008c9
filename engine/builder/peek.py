"""A look into an archive of source before it is built: a few small files of it, and nothing is unpacked."""

import tarfile
from collections.abc import Collection
from pathlib import Path

from core.errors import BuildFailed
from engine.builder.procfile import MAX_BYTES
from engine.builder.unpack import BUFFER, DAMAGE, Bounded, TarInfo, tar_stream


def peek(archive: Path, wanted: Collection[str], *, max_bytes: int) -> dict[str, bytes]:
    """Those of the files called `wanted` (`app.json`, `bin/test`) that are in the archive, each cut off a byte past
    `MAX_BYTES`. Reading stops when all are found; `BuildFailed` when it is damaged, or unpacks to over `max_bytes`."""
    found: dict[str, bytes] = {}
    try:
        with (
            tar_stream(archive) as stream,
            tarfile.open(
                fileobj=Bounded(stream, max_bytes),  # type: ignore[call-overload]
                mode="r|",
                tarinfo=TarInfo,
                encoding="utf-8",
                errors="surrogateescape",
                bufsize=BUFFER,
            ) as tar,
        ):
            for entry in tar:
                tar.members.clear()  # a stream needs no list of what has gone by
                name = entry.name.removeprefix("./")
                if name in wanted and entry.isreg() and (file := tar.extractfile(entry)):
                    found[name] = file.read(MAX_BYTES + 1)
                if len(found) == len(wanted):
                    break
    except DAMAGE as fault:
        raise BuildFailed(f"The archive is damaged or not a tar archive: {fault}.") from fault
    return found
