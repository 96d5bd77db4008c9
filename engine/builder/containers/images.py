"""The image that slugs are built in: the stack's build image, with the builder's own code and uv laid in."""

import hashlib
import io
import shutil
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker.errors

from core.errors import EngineError
from engine.builder.containers.inside import CODE, USER

REPOSITORY = "slipway/builder"
ROOT = Path(__file__).parents[3]
UV = "/slipway/uv"
COMPILE = ["python3", "-m", "compileall", "-q", CODE]  # or each build would do it again
WORK, CACHE = "/work", "/cache"


class BuilderImages:
    """Makes them on the engine of `client` when they are first asked for; what carries `labels` is ours."""

    def __init__(self, client: Any, labels: dict[str, str]) -> None:
        self._client, self._labels = client, labels
        self._lock = threading.Lock()
        self._made: dict[str, str] = {}

    def of(self, base: str) -> str:
        """The reference of the image made from `base`; a second or so for the first time. `EngineError` says what is
        missing."""
        try:
            base_id = self._client.images.get(base).id
        except docker.errors.ImageNotFound:
            raise EngineError(
                f"The engine has no image {base} to build in. Make it with bin/make-stack.", permanent=True
            ) from None
        with self._lock:
            if base_id not in self._made:
                self._made[base_id] = self._find_or_make(base_id)
            return self._made[base_id]

    def drop_old(self) -> None:
        """Remove those that older code has made; nothing before this process knows its own."""
        if not self._made:
            return
        for image in self._client.images.list(REPOSITORY, filters={"label": _filters(self._labels)}):
            if not set(image.tags) & set(self._made.values()):
                try:
                    self._client.images.remove(image.id)
                except docker.errors.APIError:
                    continue  # a build still uses it

    def _find_or_make(self, base_id: str) -> str:
        uv = _uv()
        tag = f"{REPOSITORY}:{_digest(base_id, uv)}"
        try:
            self._client.images.get(tag)
        except docker.errors.ImageNotFound:
            self._make(base_id, uv, tag)
        return tag

    def _make(self, base_id: str, uv: Path, tag: str) -> None:
        container = self._client.containers.create(
            base_id, COMPILE, labels=self._labels, network_disabled=True, user="0"
        )
        try:
            container.put_archive("/", _bundle(uv))
            container.start()
            if container.wait()["StatusCode"] != 0:
                raise EngineError(
                    f"{tag} could not be made: {container.logs(tail=3).decode()}", permanent=True
                )
            repository, _, version = tag.partition(":")
            container.commit(
                repository, version, conf={"Labels": self._labels, "User": "0", "WorkingDir": "/"}
            )
        finally:
            container.remove(force=True)


def _filters(labels: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in labels.items()]


def _uv() -> Path:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise EngineError("uv is not installed beside the platform's Python.", permanent=True)
    return Path(found)


def _sources() -> Iterator[Path]:
    for name in ("core/__init__.py", "core/errors.py", "core/text.py", "engine/__init__.py"):
        yield ROOT / name
    yield from sorted((ROOT / "engine/builder").rglob("*.py"))


def _digest(base_id: str, uv: Path) -> str:
    about = uv.stat()
    found = hashlib.sha256(f"{base_id} {COMPILE} {about.st_size} {about.st_mtime_ns}".encode())
    for path in _sources():
        found.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def _bundle(uv: Path) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for folder in (WORK, CACHE):
            archive.addfile(_entry(folder, 0o700, tarfile.DIRTYPE, owner=USER))
        for path in _sources():
            _add(archive, f"{CODE}/{path.relative_to(ROOT)}", path, 0o644)
        _add(archive, UV, uv, 0o755)
    return out.getvalue()


def _add(archive: tarfile.TarFile, name: str, path: Path, mode: int) -> None:
    entry = _entry(name, mode, tarfile.REGTYPE)
    entry.size = path.stat().st_size
    with path.open("rb") as file:
        archive.addfile(entry, file)


def _entry(name: str, mode: int, kind: bytes, *, owner: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.mode, entry.type, entry.uid, entry.gid = mode, kind, owner, owner
    return entry
