"""Images from Dockerfiles, built by the engine itself: BuildKit, or the classic builder where that is asked for.

BuildKit is the one that Dockerfiles of today are written for. Only the classic builder can be held to an amount of memory
and cores and be put behind the fences of a network; see docs/operating.md.
"""

import base64
import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors
import requests

from core.errors import BuildFailed, EngineError
from engine.builder.child import CHECK_SECONDS, duration
from engine.builder.containers.trace import Trace
from engine.builder.output import Output
from engine.builder.spec import BuildCancelled, BuildLimits

BUILDKIT, CLASSIC = "buildkit", "classic"
NOT_FOUND = ("pull access denied", "not found", "manifest unknown")


@dataclass(frozen=True)
class Request:
    """One image to build."""

    context: Path  # a tar archive
    dockerfile: str  # in it
    target: str
    arguments: dict[str, str]
    labels: dict[str, str]
    tag: str


class ImageBuild:
    """One build of images on the engine of `client`; `builder` is BUILDKIT or CLASSIC. `network` holds classic ones."""

    def __init__(
        self,
        client: Any,
        *,
        builder: str,
        network: str,
        limits: BuildLimits,
        output: Output,
        cancelled: Callable[[], bool],
    ) -> None:
        self.client, self.builder, self.network = client, builder, network
        self.limits, self.output, self.cancelled = limits, output, cancelled
        self.deadline = time.monotonic() + limits.seconds
        self.trace = Trace(output.say, output.feed)

    def run(self, request: Request) -> str:
        """Build it; returns the image's id. `BuildFailed`, `BuildCancelled` or `EngineError`; the engine gives an image up
        when nobody listens any more."""
        try:
            with request.context.open("rb") as context, self._posted(request, context) as messages:
                found = self._watch(messages)
        except (docker.errors.DockerException, requests.RequestException) as fault:
            raise EngineError(f"The Docker engine could not build: {fault}"[:300]) from fault
        if not found:
            raise EngineError("The Docker engine ended the build without an image.")
        return found

    @contextlib.contextmanager
    def _posted(self, request: Request, context: Any) -> Iterator["queue.Queue[dict[str, Any] | None]"]:
        api = self.client.api
        messages: queue.Queue[dict[str, Any] | None] = queue.Queue(maxsize=256)
        answers: list[Any] = []
        stop = threading.Event()

        def listen() -> None:
            try:
                answer = api._post(
                    api._url("/build"),
                    params=self._parameters(request),
                    data=context,
                    headers={"Content-Type": "application/x-tar"},
                    stream=True,
                    timeout=None,
                )
                answers.append(answer)
                api._raise_for_status(answer)
                for line in answer.iter_lines(chunk_size=4096):
                    if stop.is_set():
                        return _hang_up(answer)
                    _put(messages, json.loads(line), stop)
            except (docker.errors.DockerException, requests.RequestException, OSError, ValueError) as fault:
                _put(messages, {"broken": f"{fault}"}, stop)
            except AttributeError:  # urllib3, when the answer is closed under it
                pass
            finally:
                _put(messages, None, stop)

        thread = threading.Thread(target=listen, name="image build", daemon=True)
        thread.start()
        try:
            yield messages
        finally:
            stop.set()
            for answer in answers:
                _hang_up(answer)
            thread.join(5)

    def _parameters(self, request: Request) -> dict[str, Any]:
        found: dict[str, Any] = {
            "dockerfile": request.dockerfile,
            "buildargs": json.dumps(request.arguments),
            "labels": json.dumps(request.labels),
            "t": request.tag,
            "target": request.target,
            "rm": "1",
            "forcerm": "1",
            "version": "2",
        }
        if self.builder == CLASSIC:
            cores = min(self.limits.cpus, self.client.info().get("NCPU", 1))
            found |= {
                "version": "1",
                "memory": self.limits.memory,
                "memswap": self.limits.memory,
                "cpuperiod": 100_000,
                "cpuquota": int(cores * 100_000),
                "networkmode": self.network,
            }
        return found

    def _watch(self, messages: "queue.Queue[dict[str, Any] | None]") -> str:
        image, check_at = "", time.monotonic() + CHECK_SECONDS
        while True:
            with contextlib.suppress(queue.Empty):
                message = messages.get(timeout=CHECK_SECONDS)
                if message is None:
                    return image
                image = self._message(message) or image
            if time.monotonic() > check_at:
                self._check()
                check_at = time.monotonic() + CHECK_SECONDS

    def _message(self, message: dict[str, Any]) -> str:
        """Show what came; returns the image's id, if it tells that."""
        if "broken" in message:
            raise EngineError(f"The Docker engine broke off: {message['broken']}"[:300])
        if "error" in message or "errorDetail" in message:
            raise self._failed(str(message.get("error") or message["errorDetail"].get("message")))
        aux = message.get("aux")
        if message.get("id") == "moby.buildkit.trace" and isinstance(aux, str):
            self.trace.take(base64.b64decode(aux))
        elif "stream" in message:
            self.output.feed(str(message["stream"]).encode("utf-8", "replace"))
        return str(aux["ID"]) if isinstance(aux, dict) and "ID" in aux else ""

    def _failed(self, reason: str) -> BuildFailed:
        self.output.finish()
        if any(words in reason for words in NOT_FOUND):
            reason += ". Does the image exist, and can this engine reach its registry?"
        return BuildFailed(f"The image was not built: {reason}"[:500])

    def _check(self) -> None:
        if time.monotonic() > self.deadline:
            raise BuildFailed(f"The build took longer than {duration(self.limits.seconds)}.")
        if self.cancelled():
            raise BuildCancelled


def _put(messages: "queue.Queue[Any]", item: Any, stop: threading.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(queue.Full):
            messages.put(item, timeout=CHECK_SECONDS)
            return


def _hang_up(answer: Any) -> None:
    """Close a stream that another thread may be reading: only the socket itself wakes it."""
    connection = getattr(answer.raw, "_connection", None) or getattr(answer.raw, "connection", None)
    if connection is not None and connection.sock is not None:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
    answer.close()
