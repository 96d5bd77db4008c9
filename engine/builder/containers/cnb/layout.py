"""Images as folders, in the format OCI layout: the run image for the lifecycle, and the app's image out of its hands.

Of the run image the folder says only what it is. Its layers stay on the engine: the lifecycle puts the app's own on top
without looking at them, and the engine, which knows them by their contents, does not ask for them again.
"""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import BuildFailed

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
BLOB = re.compile(r"(?:[^/]+/)?blobs/sha256/([0-9a-f]{64})")
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
MOST_LAYERS = 500
MOST_JSON = 4 * 1024 * 1024
CHUNK = 1024 * 1024
DAMAGE = (tarfile.TarError, KeyError, TypeError, ValueError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Made:
    """An image that a build has left, checked: what it says is what is there."""

    config: bytes
    told: dict[str, Any]  # the same, read
    layers: list[Path | None]  # None: one of the run image's

    @property
    def labels(self) -> dict[str, Any]:
        """What the image says of itself."""
        found = self.told.get("config")
        labels = found.get("Labels") if isinstance(found, dict) else None
        return labels if isinstance(labels, dict) else {}


def sparse(image: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a layout of an image, given as the engine describes it, without its layers."""
    layers = image["RootFS"]["Layers"]
    config = {
        "architecture": image["Architecture"],
        "os": image["Os"],
        "created": image["Created"],
        "config": image["Config"],
        "rootfs": {"type": "layers", "diff_ids": layers},
    }
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    told = _put(files, config)
    # As blobs that are not compressed, layers have the digests that the engine knows. Nobody reads their length.
    blobs = [{"mediaType": LAYER, "digest": digest, "size": 1} for digest in layers]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, **told},
        "layers": blobs,
    }
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{"mediaType": MANIFEST, **_put(files, manifest)}],
    }
    files["index.json"] = json.dumps(index).encode()
    return files


def _put(files: dict[str, bytes], content: Mapping[str, Any]) -> dict[str, Any]:
    data = json.dumps(content).encode()
    digest = hashlib.sha256(data).hexdigest()
    files[f"blobs/sha256/{digest}"] = data
    return {"digest": f"sha256:{digest}", "size": len(data)}


def take(archive: Iterable[bytes], into: Path, base: list[str], *, most: int) -> Made:
    """Read the layout that comes as an archive, writing its blobs into the folder `into`; `base` are the layers of the run
    image. The build could have tampered with it: nothing is taken that is not what its digest says, nor more than `most`
    bytes. `BuildFailed` when it is no image on that base."""
    into.mkdir()
    try:
        index = _blobs(archive, into, most)
        found = json.loads(index)["manifests"]
        manifest = _json(into, found[0]["digest"])
        config = _read(into, manifest["config"]["digest"])
        told = json.loads(config)
        ids, layers = told["rootfs"]["diff_ids"], manifest["layers"]
        if (
            not isinstance(ids, list)
            or ids[: len(base)] != base
            or len(ids) != len(layers)
            or len(ids) > MOST_LAYERS
        ):
            raise BuildFailed("The image that the lifecycle has made is not built on the run image.")
        own = [_blob(into, layer["digest"]) for layer in layers[len(base) :]]
    except DAMAGE as fault:
        raise BuildFailed(f"The lifecycle has made no image that can be read: {fault!r}."[:300]) from fault
    return Made(config, told, [*(None for _ in base), *own])


def archive_of(made: Made, name: str, base: Iterable[tuple[int, BinaryIO]], into: Path) -> None:
    """Write the image as the engine loads it, to be called `name`, to the file `into`. `base` gives layers of the run
    image, each with its size, for an engine that wants them all; without, it is to have them."""
    with tarfile.open(into, "w", format=tarfile.PAX_FORMAT) as archive:
        names = [f"{number}.tar" for number in range(len(made.layers))]
        digest = hashlib.sha256(made.config).hexdigest()
        told = [{"Config": f"{digest}.json", "RepoTags": [name], "Layers": names}]
        for entry, data in ((f"{digest}.json", made.config), ("manifest.json", json.dumps(told).encode())):
            _add(archive, entry, len(data), BytesIO(data))
        given = iter(base)
        for entry, path in zip(names, made.layers, strict=True):
            if path is None:
                _add(archive, entry, *next(given, (0, BytesIO())))
            else:
                with path.open("rb") as file:
                    _add(archive, entry, path.stat().st_size, file)


def layers_of(saved: BinaryIO) -> Iterator[tuple[int, BinaryIO]]:
    """The layers of an image as the engine saves it, each with its size."""
    with tarfile.open(fileobj=saved) as archive:
        told = archive.extractfile("manifest.json")
        assert told is not None
        for name in json.load(told)[0]["Layers"]:
            layer = archive.extractfile(name)  # follows the link to one that comes twice
            assert layer is not None
            yield layer.seek(0, 2), _rewound(layer)


def _rewound(file: Any) -> BinaryIO:
    file.seek(0)
    found: BinaryIO = file
    return found


def _add(archive: tarfile.TarFile, name: str, size: int, data: BinaryIO) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    archive.addfile(entry, data)


def _blobs(archive: Iterable[bytes], into: Path, most: int) -> bytes:
    """Write the blobs down; returns what index.json says."""
    index = b""
    pieces: Any = _Bounded(archive, most)
    with tarfile.open(fileobj=pieces, mode="r|") as stream:
        for entry in stream:
            found = BLOB.fullmatch(entry.name)
            data = stream.extractfile(entry) if entry.isreg() else None
            if data is None:
                continue
            if found:
                with (into / found[1]).open("wb") as file:
                    while piece := data.read(CHUNK):
                        file.write(piece)
            elif entry.name.rpartition("/")[2] == "index.json":
                index = data.read(MOST_JSON)
    return index


def _blob(into: Path, digest: str) -> Path:
    """The file of a blob, which is what its digest says."""
    found = DIGEST.fullmatch(digest)
    path = into / (found[1] if found else "none")
    if not path.is_file():
        raise BuildFailed("The image that the lifecycle has made lacks a layer.")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != path.name:
            raise BuildFailed("A layer of the image is not what its digest says.")
    return path


def _read(into: Path, digest: str) -> bytes:
    path = _blob(into, digest)
    if path.stat().st_size > MOST_JSON:
        raise BuildFailed("The image says too much of itself.")
    return path.read_bytes()


def _json(into: Path, digest: str) -> dict[str, Any]:
    found = json.loads(_read(into, digest))
    if not isinstance(found, dict):
        raise ValueError("its manifest is none")
    return found


class _Bounded:
    """The bytes of pieces that come, until there are too many."""

    def __init__(self, pieces: Iterable[bytes], most: int) -> None:
        self._pieces, self._left, self._most, self._rest = iter(pieces), most, most, b""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        while not self._rest and (piece := next(self._pieces, None)) is not None:
            self._rest = piece
            self._left -= len(piece)
            if self._left < 0:
                raise BuildFailed(f"The image is over {self._most // 2**20:,} MB.")
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
