"""Finds out when a web dyno is up."""

import http.client
import socket
from collections.abc import Callable
from concurrent.futures import Executor

from engine.drivers.loop import Loop
from engine.spec import ProcessSpec

FIRST_POLL_SECONDS, LAST_POLL_SECONDS, SLOWER = 0.005, 0.1, 1.1
HEALTH_POLL_SECONDS, HEALTH_ANSWER_SECONDS = 0.25, 5.0
CONNECT_SECONDS = 0.02  # on this machine it is known in microseconds, or the queue is full


def answers(host: str, port: int) -> bool:
    """Whether a connection to `port` is accepted."""
    with socket.socket() as probe:
        probe.settimeout(CONNECT_SECONDS)
        return probe.connect_ex((host, port)) == 0


class Boot:
    """Asks the port of one web dyno until it answers, or its time is over. Calls `up()` or `failed(reason)`, once.

    `is_ours` tells whether those who listen on the port are the dyno's (promise I-26); None when that is not known yet.
    """

    def __init__(
        self,
        spec: ProcessSpec,
        host: str,
        port: int,
        *,
        loop: Loop,
        requests: Executor,
        is_ours: Callable[[], bool | None],
        up: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self._spec, self._host, self._port = spec, host, port
        self._loop, self._requests = loop, requests
        self._is_ours, self._up, self._failed = is_ours, up, failed
        self._last_answer = ""
        self._over = False

    def begin(self) -> None:
        """Start asking."""
        self._loop.after(self._spec.boot_seconds, self._time_is_over)
        self._loop.after(FIRST_POLL_SECONDS, lambda: self._poll(FIRST_POLL_SECONDS))

    def cancel(self) -> None:
        """Nobody wants to know any more."""
        self._over = True

    def _poll(self, pause: float) -> None:
        if self._over:
            return
        if answers(self._host, self._port):
            ours = self._is_ours()
            if ours:
                return self._ask() if self._spec.health_path else self._succeed()
            if ours is False:
                return self._fail(f"Port {self._port} is taken by a process that is not this dyno's.")
        pause = min(pause * SLOWER, LAST_POLL_SECONDS)
        self._loop.after(pause, lambda: self._poll(pause))

    def _ask(self) -> None:
        if not self._over:
            self._requests.submit(self._request)

    def _request(self) -> None:  # in a thread of its own
        connection = http.client.HTTPConnection(self._host, self._port, timeout=HEALTH_ANSWER_SECONDS)
        try:
            headers = {"Host": "localhost", "User-Agent": "Slipway-Health", "Connection": "close"}
            connection.request("GET", self._spec.health_path, headers=headers)
            status = connection.getresponse().status
            answer, healthy = f"it answered {status}", status < 400
        except (OSError, http.client.HTTPException, ValueError) as error:
            answer, healthy = f"no answer: {error}", False
        finally:
            connection.close()
        self._loop.post(lambda: self._answered(answer, healthy))

    def _answered(self, answer: str, healthy: bool) -> None:
        self._last_answer = answer
        if healthy:
            self._succeed()
        else:
            self._loop.after(HEALTH_POLL_SECONDS, self._ask)

    def _time_is_over(self) -> None:
        what = "Web process failed to bind to $PORT"
        if self._last_answer:
            what = f"Web process did not answer GET {self._spec.health_path} below 400 ({self._last_answer})"
        seconds = f"{self._spec.boot_seconds:g} seconds"
        self._fail(f"Error R10 (Boot timeout) -> {what} within {seconds} of launch")

    def _succeed(self) -> None:
        if not self._over:
            self._over = True
            self._up()

    def _fail(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._failed(reason)
