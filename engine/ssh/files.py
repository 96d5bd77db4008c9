"""The files of a dyno, to be read by SFTP: what ps:copy does.

A file is read by a command inside the dyno, as its user and as that user sees it, into a spool of the platform's that has
no name. None of asyncssh's own server is left, which would serve files of this machine.
"""

import asyncio
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, NoReturn

import asyncssh

from engine.ssh.carry import Opener, first, hosted, line, read

MOST_BYTES = 1024**3  # of one file
SPARE_BYTES = 512 * 1024**2  # that stay free on the platform's disk
MOST_OPEN = 8  # files at a time, of one client
LONGEST_PATH = 4096
# Says what there is, its size and when it was changed; the second form also writes what is in it.
LOOK = (
    'if [ -d "$1" ]; then stat -Lc "folder %s %Y" -- "$1"; elif [ -f "$1" ] && [ -r "$1" ]; then '
    'stat -Lc "file %s %Y" -- "$1"{}; elif [ -e "$1" ]; then echo closed; else echo absent; fi'
)
COPY = ' && exec cat -- "$1"'


class Copy:
    """A file that is being read. `size` is what it was in the beginning."""

    def __init__(self, size: int, changed: int, folder: Path) -> None:
        self.size, self.changed, self.ended, self.have = size, changed, False, 0
        self.spool = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self.stack = AsyncExitStack()
        self.task: asyncio.Task[None] | None = None
        self._grown = asyncio.Condition()

    async def fill(self, streams: Any, come: bytes) -> None:
        """Take all that comes from the dyno."""
        try:
            while come and self.have <= MOST_BYTES:
                self.spool.write(come)
                self.spool.flush()
                self.have += len(come)
                await self._tell()
                come = await read(streams)
        finally:
            self.ended = True
            await self._tell()

    async def until(self, size: int) -> None:
        """Wait until so many bytes are there, or all."""
        async with self._grown:
            await self._grown.wait_for(lambda: self.ended or self.have >= size)

    def seek(self, offset: int, whence: int) -> int:
        """Where data (or else a hole) begins after `offset`: asked by asyncssh for its own clients. There are no holes."""
        return offset if whence == os.SEEK_DATA else self.size

    async def close(self) -> None:
        """Give it up."""
        if self.task:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.stack.aclose()
        self.spool.close()

    async def _tell(self) -> None:
        async with self._grown:
            self._grown.notify_all()


class Files(asyncssh.SFTPServer):
    """One client's view of a dyno's files: it may look and read."""

    def __init__(self, channel: "asyncssh.SSHServerChannel[bytes]", opener: Opener, folder: Path) -> None:
        super().__init__(channel)
        self._open, self._folder, self._copies = opener, folder, 0

    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """Part of asyncssh.SFTPServer: begin to read a file. Of one without a size, such as in /proc, all is read first."""
        if pflags & ~asyncssh.FXF_READ:
            _read_only()
        if self._copies >= MOST_OPEN:
            raise asyncssh.SFTPFailure(f"{MOST_OPEN} files at a time, please.")
        self._copies += 1
        try:
            return await self._begin(path)
        except BaseException:
            self._copies -= 1
            raise

    async def _begin(self, path: bytes) -> Copy:
        kind, size, changed, come, visit = await self._look(path, COPY)
        stack = AsyncExitStack()
        put_out = await stack.enter_async_context(hosted(visit.guest))
        if kind != "file" or size > MOST_BYTES:
            await stack.aclose()
            _demand_file(kind, size)
        if shutil.disk_usage(self._folder).free < size + SPARE_BYTES:
            await stack.aclose()
            raise asyncssh.SFTPFailure("The platform's disk has no room to copy this file now.")
        copy = Copy(size, changed, self._folder)
        copy.stack = stack
        filling = copy.fill(visit.guest.streams, come or await read(visit.guest.streams))
        copy.task = asyncio.create_task(first(filling, put_out.wait()))
        if not size:
            await copy.until(MOST_BYTES + 1)
            copy.size = copy.have
        return copy

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """Part of asyncssh.SFTPServer. Less than was promised is an error, not a short file."""
        assert isinstance(file_obj, Copy)
        size = max(0, min(size, file_obj.size - offset))
        await file_obj.until(offset + size)
        if file_obj.have < offset + size:
            raise asyncssh.SFTPFailure("The file could not be read to its end.")
        return os.pread(file_obj.spool.fileno(), size, offset)

    async def close(self, file_obj: object) -> None:
        """Part of asyncssh.SFTPServer."""
        assert isinstance(file_obj, Copy)
        self._copies -= 1
        await file_obj.close()

    async def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
        """Part of asyncssh.SFTPServer."""
        assert isinstance(file_obj, Copy)
        return _attrs("file", file_obj.size, file_obj.changed)

    async def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        """Part of asyncssh.SFTPServer."""
        kind, size, changed, _, visit = await self._look(path, "")
        async with hosted(visit.guest):
            if kind != "folder":
                _demand_file(kind, 0)
            return _attrs(kind, size, changed)

    async def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        """Part of asyncssh.SFTPServer: links are shown as what they lead to."""
        return await self.stat(path)

    def realpath(self, path: bytes) -> bytes:
        """Part of asyncssh.SFTPServer: paths begin where the dyno's commands do, and stay as they are."""
        return path or b"."

    def exit(self) -> None:
        """Part of asyncssh.SFTPServer, which has closed every file by now: scp wants to know that all went well."""
        with suppress(OSError):  # the client has gone without a word
            self.channel.exit(0)

    async def _look(self, path: bytes, more: str) -> tuple[str, int, int, bytes, Any]:
        """What is at `path`, its size and time, and the visit that tells it, with what else it has said."""
        try:
            text = path.decode()
        except UnicodeDecodeError:
            raise asyncssh.SFTPNoSuchFile("Only names in UTF-8 can be asked for.") from None
        if not text or len(path) > LONGEST_PATH or "\0" in text:
            raise asyncssh.SFTPNoSuchFile("There is no such file.")
        command = f"sh -c {shlex.quote(LOOK.format(more))} copy {shlex.quote(text)}"
        try:
            visit = await self._open(command, tty=False, env={})
        except LookupError as error:
            raise asyncssh.SFTPFailure(error.args[0]) from error
        said, come = await line(visit.guest.streams)
        kind, _, figures = said.decode(errors="replace").partition(" ")
        size, _, changed = figures.partition(" ")
        if kind in ("file", "folder") and size.isdecimal() and changed.lstrip("-").isdecimal():
            return kind, int(size), int(changed), come, visit
        return kind, 0, 0, come, visit


def _demand_file(kind: str, size: int) -> None:
    if kind == "file" and size > MOST_BYTES:
        raise asyncssh.SFTPFailure(f"The file is larger than {MOST_BYTES // 1024**2} MB: copy it in parts.")
    if kind == "absent":
        raise asyncssh.SFTPNoSuchFile("There is no such file.")
    if kind == "closed":
        raise asyncssh.SFTPPermissionDenied("The dyno's user may not read it, or it is no file.")
    if kind == "folder":
        raise asyncssh.SFTPFailure("It is a folder: copy its files one by one.")
    if kind != "file":
        raise asyncssh.SFTPFailure("The dyno could not be asked for the file.")


def _attrs(kind: str, size: int, changed: int) -> asyncssh.SFTPAttrs:
    mode = stat.S_IFREG | 0o644 if kind == "file" else stat.S_IFDIR | 0o755
    time = max(0, min(changed, 2**32 - 1))
    return asyncssh.SFTPAttrs(size=size, permissions=mode, atime=time, mtime=time)


def _read_only(*args: object, **kwargs: object) -> NoReturn:
    raise asyncssh.SFTPPermissionDenied("Files of a dyno can be read, no more: change them with a command.")


def _close_all_others(of: type[asyncssh.SFTPServer], helpers: set[str]) -> None:
    """Have every other method of asyncssh's refuse, those that a later version brings as well."""
    for name, found in vars(asyncssh.SFTPServer).items():
        if callable(found) and not name.startswith("_") and name not in vars(of).keys() | helpers:
            refuse: Callable[..., NoReturn] = _read_only
            setattr(of, name, refuse)


_close_all_others(Files, {"convert_attrs"})
