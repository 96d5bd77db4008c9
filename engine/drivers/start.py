"""One start of one dyno, whatever it runs as: its states, what is said of it, and when its time is over."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from core.errors import EngineError
from engine.drivers.boot import Boot
from engine.drivers.loop import Loop, Timer
from engine.drivers.voice import Voice
from engine.spec import MB, Attached, DynoState, ProcessSpec

log = logging.getLogger(__name__)
HARD = 2  # times the size's memory: past it R15 and the end, from the size's own memory on only R14
CLOSE_SECONDS = 30.0  # when the platform ends its dynos with itself, none gets more than that to stop
LINGER_SECONDS = 5.0  # how long the end of a stopped one-off can be seen
R15 = "Error R15 (Memory quota vastly exceeded)"


class Streams(Protocol):
    """The streams of a one-off dyno that somebody sits at. For any thread."""

    taken: bool

    def take(self) -> Attached | None:
        """Our ends, to the first who asks after the start; whoever has them closes them."""
        ...

    def free(self) -> None:
        """Nobody will come any more. May be called twice."""
        ...


class Start(ABC):
    """One start of one dyno. Unless said otherwise its methods belong to the loop's thread.

    `changed` is told of each new state, `cleaned` when nothing is left of it. A kind of dyno says how its processes get
    SIGTERM (`_terminate`) and SIGKILL (`_kill`), whether there are any (`_has_process`), and calls `_conclude` once they
    have ended.
    """

    def __init__(
        self,
        spec: ProcessSpec,
        *,
        loop: Loop,
        voice: Voice,
        changed: Callable[[Any], None],
        cleaned: Callable[[Any], None],
    ) -> None:
        self.spec = spec
        # Replaced as a whole, so that any thread may look at it.
        self.seen = DynoState(spec.id, spec.dyno, "starting", since=time.time())
        self.over = False  # its process has ended, or never was
        self.clean = False  # and nothing of it is left
        self.forget = False  # nobody will ask for it again
        self._loop, self._voice = loop, voice
        self._tell_changed, self._tell_cleaned = changed, cleaned
        self._boot: Boot | None = None
        self._streams: Streams | None = None
        self._timers: list[Timer] = []
        self._stopping = False
        self._closing = False
        self._reason = ""
        self._code: int | None = None

    # --- what a kind of dyno does its own way -------------------------------------------------------------------

    @abstractmethod
    def _has_process(self) -> bool:
        """Whether it has come to have one, ended or not."""

    @abstractmethod
    def _terminate(self) -> None:
        """SIGTERM to all its processes."""

    @abstractmethod
    def _kill(self) -> None:
        """SIGKILL to all its processes; may be called again."""

    # --- meanwhile ----------------------------------------------------------------------------------------------

    def attach(self) -> Attached | None:
        """Its streams, to the first who asks once it has started. For any thread."""
        return self._streams.take() if self._streams else None

    def _up(self) -> None:
        self._voice.say("State changed from starting to up")
        self._show(state="up", since=time.time())
        self._changed()

    def _not_attached(self) -> None:
        if self._streams and not self._streams.taken:
            self._kill_because("Error R13 (Attach error) -> Failed to attach to process")

    def _time_limit(self) -> None:
        self._kill_because(f"Stopped: it ran for longer than {self.spec.seconds:g} seconds.")

    def _uses(self, used: int) -> None:
        """It uses so many bytes of memory."""
        self._show(memory=used)
        quota = self.spec.size.memory
        if used > quota * HARD:
            self._kill_because(R15)
        elif used > quota:
            self._voice.say(f"Process running mem={used // MB}M({used / quota:.1%})")
            self._voice.say("Error R14 (Memory quota exceeded)")

    # --- the end ------------------------------------------------------------------------------------------------

    def stop(self, *, closing: bool = False) -> None:
        """SIGTERM to all its processes, SIGKILL after the stop time, and forget it; may be called again."""
        self.forget = True
        self._closing |= closing
        if self.clean:
            return self._tell_cleaned(self)
        if self._stopping or self.over:
            return
        self._stopping = True
        if self._boot:
            self._boot.cancel()
        if not self.spec.one_off:  # whose exit code is still to be seen
            self._show(state="down", since=time.time())
        if self._has_process():
            self._voice.say("Stopping all processes with SIGTERM")
            self._terminate()
            seconds = min(self.spec.stop_seconds, CLOSE_SECONDS) if closing else self.spec.stop_seconds
            self._after(seconds, lambda: self._exit_timeout(seconds))
        self._changed()

    def _exit_timeout(self, seconds: float) -> None:
        if not self.over:
            self._voice.say(
                "Error R12 (Exit timeout) -> At least one process failed to exit "
                f"within {seconds:g} seconds of SIGTERM"
            )
            self._voice.say("Stopping remaining processes with SIGKILL")
            self._kill()

    def _kill_because(self, reason: str) -> None:
        if self.over or self._reason:
            return
        self._reason = reason
        self._voice.say(reason)
        self._voice.say("Stopping process with SIGKILL")
        self._kill()

    def _conclude(self) -> None:
        """All its processes have ended, or there were none: say so."""
        self.over = True
        for timer in self._timers:
            timer.cancel()
        if self._boot:
            self._boot.cancel()
        if self._has_process():
            self._last_words()
        old = self.seen.state
        state = "down" if self._stopping or self.spec.one_off else "crashed"
        if self._has_process() and not self._stopping:
            self._voice.say(f"State changed from {old} to {'complete' if self.spec.one_off else state}")
        reason = self._reason or (f"Process exited with status {self._code}" if state == "crashed" else "")
        self._show(state=state, exit_code=self._code, reason=reason, since=time.time())
        self._changed()

    def _last_words(self) -> None:
        self._voice.say(f"Process exited with status {self._code}")

    def _cleaned(self) -> None:
        self.clean = True
        if self.spec.one_off and self._stopping and not self._closing:
            self._loop.after(LINGER_SECONDS, lambda: self._tell_cleaned(self))
        else:
            self._tell_cleaned(self)

    # --- small things -------------------------------------------------------------------------------------------

    def _show(self, **changes: Any) -> None:
        self.seen = replace(self.seen, **changes)

    def _changed(self) -> None:
        self._tell_changed(self)

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        self._timers = [timer for timer in self._timers if timer.call is not None]
        self._timers.append(self._loop.after(seconds, call))


def reason_of(error: Exception) -> str:
    """What to tell people; paths of the platform stay out of it."""
    if isinstance(error, EngineError):
        return str(error)
    log.warning("A dyno could not be started", exc_info=error)
    if isinstance(error, OSError) and error.strerror:
        return f"The dyno could not be started: {error.strerror}"
    return f"Error R99 (Platform error) -> {type(error).__name__}"
