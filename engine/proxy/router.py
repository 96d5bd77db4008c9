"""The engine's `Router` on HAProxy: files first, then the running process, so that both always agree."""

import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from core.errors import EngineError
from engine.proxy import config, pages, shares
from engine.proxy.config import ASLEEP, CHALLENGE, CONTROL, Setup
from engine.proxy.files import SPARE, Folder, Place, read_map, write, write_map
from engine.proxy.runtime import LARGEST, Away, Runtime
from engine.router import LocalRouter
from engine.spec import Backend, Certificate, Route

log = logging.getLogger(__name__)
SPARES = 128  # places at the start; as many as there are, when they run out
FINE = (
    "",
    "New server registered.",
    "Already exists a server with the same name in backend.",
    "Server deleted.",
)
CANARY = "^"  # behind the app whose release on trial has a place
_UNSAFE = re.compile(r"[^A-Za-z0-9_.:-]")


class ProxyRouter:
    """Tells the HAProxy whose folder is `root` what to do. Any number of processes may, at the same time."""

    def __init__(
        self, root: Path, *, per_dyno: int = Setup.per_dyno, control_hosts: Iterable[str] = ()
    ) -> None:
        self.folder = Folder(root)
        self.runtime = Runtime(self.folder.socket, self.folder.master)
        self._setup = Setup(http="", per_dyno=per_dyno)
        self._control_hosts = frozenset(control_hosts)
        self._lock = threading.Lock()
        self._slots: dict[str, str] = {}  # by backend id, also of those that left a route
        self._gone: dict[
            str, str
        ] = {}  # slots by server's name, of servers to be forgotten once they are idle
        self._waking: LocalRouter | None = None
        self.folder.make()

    # --- the engine's Router ------------------------------------------------------------------------------------

    def put(self, route: Route) -> None:
        """Replace an app's route; in effect for every request that arrives after this returns."""
        with self._lock, self.folder.locked():
            if route.asleep:
                self._tell_waking(route)
            canary = self._put_canary(route)
            slot, former = self._own(route.app)
            self._change(former, self._place(slot, route, canary), route)
            self._slots |= {backend.id: slot for backend in route.backends}
            if not canary:
                self._leave_place(route.app + CANARY)
            if not route.asleep:
                self._tell_waking(route)

    def drop(self, app: str) -> None:
        """Forget an app."""
        with self._lock, self.folder.locked():
            self._leave_place(app)
            self._leave_place(app + CANARY)
            if self._waking is not None:
                self._waking.drop(app)

    def in_flight(self, backend_id: str) -> int:
        """How many requests a backend is at work on, tunnels apart."""
        slot, waking = self._slots.get(backend_id), self._waking
        woken = waking.in_flight(backend_id) if waking else 0
        # What another conductor took out of its route is looked for in all of them.
        ask = f"show stat {-1 if slot is None else slot} 4 -1"
        try:
            answers = [self.runtime.ask(ask), *self.runtime.others(ask)]
            return woken + sum(self._busy(answer, backend_id) for answer in answers)
        except EngineError:
            return woken  # no HAProxy, no requests

    def quiet(self, app: str) -> float:
        """Seconds since a request or a tunnel of an app was under way; 0 while one is, or while there is no HAProxy."""
        places = self.folder.places().items()
        asks = [f"show stat {slot} 2 -1" for slot, each in places if each.removesuffix(CANARY) == app]
        waking = self._waking
        known = [waking.quiet(app)] if waking and waking.has(app) else []
        try:
            tables = [table for ask in asks for table in (self.runtime.ask(ask), *self.runtime.others(ask))]
            return min([self._idle(table) for table in tables] + known, default=0.0)
        except EngineError:
            return 0.0

    def _idle(self, table: str) -> float:
        """Of one worker, by its line of the backend: how long it had no session there."""
        head, _, rest = table.partition("\n")
        names, values = head.lstrip("# ").split(","), rest.partition("\n")[0].split(",")
        line = dict(zip(names, values, strict=False))
        if int(line.get("scur") or 0):
            return 0.0
        last = int(line.get("lastsess") or -1)
        return float(last if last >= 0 else self.runtime.info()["Uptime_sec"])

    def _busy(self, table: str, backend_id: str) -> int:
        """Of one worker, by its table of the servers in a backend."""
        for line in table.splitlines():
            _, name, queued, _, current, *_ = [*line.split(","), "", "", "", "", ""]
            if name.split(":")[1:2] == [backend_id]:
                return max(0, int(queued) + int(current) - self._tunnels(name))
        return 0

    def _tunnels(self, name: str) -> int:
        found = re.search(r"conn_cur=(\d+)", self.runtime.ask(f"show table tunnels key {name}"))
        return int(found[1]) if found else 0

    # --- apps that sleep ----------------------------------------------------------------------------------------

    def wake_through(self, waking: LocalRouter) -> None:
        """Have requests for apps that sleep wait in `waking`, which listens at the folder's socket for them."""
        with self._lock, self.folder.locked():
            places = [self.folder.read(*each) for each in self.folder.places().items()]
            self._waking = waking
        for place in places:
            if place.state.endswith(f".{ASLEEP}"):
                hosts = frozenset(place.hosts)
                stakes = shares.stakes_in(place.stakes)
                waking.put(Route(place.app, place.app, hosts, asleep=True, why_none="H20", stakes=stakes))

    def wake_no_more(self) -> None:
        """Another does it."""
        self._waking = None

    def _tell_waking(self, route: Route) -> None:
        waking = self._waking
        if waking is not None and (route.asleep or waking.has(route.app)):
            waking.put(replace(route, certificates={}, challenges={}))  # HAProxy sees to these

    # --- changes: files, then HAProxy ---------------------------------------------------------------------------

    def _own(self, app: str) -> tuple[str, Place]:
        """The place of an app, or a spare one, and what the files say of it."""
        places = self.folder.places()
        slot = next((slot for slot, each in places.items() if each == app), "") or self._spare(places)
        return slot, self.folder.read(slot, places.get(slot, SPARE))

    def _leave_place(self, app: str) -> None:
        slot = next((slot for slot, each in self.folder.places().items() if each == app), "")
        if slot:
            self._change(self.folder.read(slot, app), Place(slot), None)

    def _put_canary(self, route: Route) -> str:
        """Give the release on trial a place of its own. Returns what the map of canaries says of it; empty without."""
        if not route.canary:
            return ""
        slot, former = self._own(route.app + CANARY)
        servers = {_name(each): _address(each) for each in route.canary}
        self._change(former, Place(slot, route.app + CANARY, servers=servers), None)
        self._slots |= {backend.id: slot for backend in route.canary}
        return f"{route.share}.{slot}"

    def _place(self, slot: str, route: Route, canary: str) -> Place:
        usable = {host: one for host, one in route.certificates.items() if host not in self._control_hosts}
        return Place(
            slot,
            route.app,
            _state(route),
            sorted(route.hosts - self._control_hosts),
            {_name(each): _address(each) for each in route.backends},
            {host: _digest(one) for host, one in usable.items()},
            {CHALLENGE + token: answer for token, answer in route.challenges.items()},
            canary,
            shares.stakes_of(route, self._control_hosts),
        )

    def _spare(self, places: dict[str, str]) -> str:
        """A place that nobody has, the one that was left first; more are made when there is none."""
        spare = [slot for slot, app in places.items() if app == SPARE]
        if spare:
            return min(spare, key=self.folder.left)
        return make_spares(self.folder, self._setup, len(places) or SPARES, reload=self._reload)

    def _change(self, former: Place, now: Place, route: Route | None) -> None:
        unsaid = self.folder.unsaid.exists()
        if former == now and not unsaid:
            return
        self.folder.unsaid.touch()
        self.folder.write(now, config.backend(now.slot, now.servers, self._setup), former=former.app)
        commands = self._servers(former, now) + self._maps(former, now)
        new_certificates = self._certificates(former, now, route)
        try:
            fine = not unsaid and new_certificates is not None
            if fine:
                fine = self._say([*(new_certificates or []), *commands, *self._leave(former, now)])
            if not fine:
                self._reload()
        except Away:
            return  # it will begin with the files
        self.folder.unsaid.unlink(missing_ok=True)

    def _say(self, commands: list[str]) -> bool:
        """Give commands to HAProxy; whether it took them all."""
        answers = self.runtime.tell(commands)
        wrong = {answer for answer in answers if not _is_fine(answer)}
        if wrong:
            log.warning("HAProxy has other routes than its files say: %s", "; ".join(sorted(wrong)))
        return not wrong

    def _reload(self) -> None:
        self.runtime.reload()
        self._note_worker()

    def _servers(self, former: Place, now: Place) -> list[str]:
        commands = []
        for name, address in now.servers.items():
            if former.servers.get(name) != address:
                self._gone.pop(name, None)
                commands.append(f"add server {now.slot}/{config.server(name, address, self._setup)}")
                commands.append(f"set server {now.slot}/{name} state ready")
        return commands

    def _leave(self, former: Place, now: Place) -> list[str]:
        """The last thing: those that left the route take no more requests, and end those that they have."""
        left = [name for name, address in former.servers.items() if now.servers.get(name) != address]
        self._gone |= dict.fromkeys(left, former.slot)
        return [f"set server {former.slot}/{name} state maint" for name in left]

    def _maps(self, former: Place, now: Place) -> list[str]:
        folder, slot = self.folder, now.slot
        hosts = dict.fromkeys(former.hosts, slot), dict.fromkeys(now.hosts, slot)
        apps = _update(folder.apps, _some(slot, former.state), _some(slot, now.state))
        others = [
            *_update(folder.canaries, _some(slot, former.canary), _some(slot, now.canary)),
            *_update(folder.challenges, former.challenges, now.challenges),
            *_update(folder.hosts, *hosts),
            *_update(folder.shares, *shares.change(folder, slot, now.stakes)),
        ]
        # A host never leads to a place of which nothing is known.
        return [*apps, *others] if now.state else [*others, *apps]

    # --- certificates -------------------------------------------------------------------------------------------

    def _certificates(self, former: Place, now: Place, route: Route | None) -> list[str] | None:
        """Write those that changed. Returns the commands that tell of them; None when only a reload can."""
        before, after = former.certificates, now.certificates
        changed = {host for host in after if before.get(host) != after[host]}
        over = set(before) - set(after)
        if not changed and not over:
            return []
        folder, commands, too_large = self.folder, [], False
        lines = folder.cert_list.read_text().splitlines() if folder.cert_list.exists() else []
        for host in sorted(changed):
            assert route is not None
            path, text = folder.cert(host), _pem(route.certificates[host])
            write(path, text)
            line = f"{path} {host}"
            commands += _show(folder.cert_list, path, text, line, new=line not in lines)
            too_large |= len(text) > LARGEST
            if line not in lines:
                lines.append(line)
        gone = {f"{folder.cert(host)} {host}" for host in over}
        write(folder.cert_list, "".join(f"{line}\n" for line in lines if line not in gone))
        for host in sorted(over):
            path = folder.cert(host)
            path.unlink(missing_ok=True)
            commands += [f"del ssl crt-list {folder.cert_list} {path}", f"del ssl cert {path}"]
        return None if too_large else commands

    # --- now and then -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Called every second or so: forget servers that are done; have a HAProxy that was started by somebody else
        read the files once more, since it may have done so while one of them was being written."""
        for name, slot in list(self._gone.items()):
            answer = self.runtime.ask(f"del server {slot}/{name}")
            if "deleted" in answer or "such server" in answer.lower():
                self._gone.pop(name, None)
                id = name.split(":")[1]
                if self._slots.get(id) == slot:
                    del self._slots[id]
        with self._lock, self.folder.locked():
            if self.folder.worker() != self._worker() or self.folder.unsaid.exists():
                if not self._agrees():
                    self._reload()
                self._note_worker()
                self.folder.unsaid.unlink(missing_ok=True)

    def _agrees(self) -> bool:
        """Whether HAProxy knows what the files say. Certificates it reads at once when it starts."""
        folder, ask = self.folder, self.runtime.ask
        for path in (folder.hosts, folder.apps, folder.challenges, folder.canaries, folder.shares):
            told = [line.split(" ", 2)[1:] for line in ask(f"show map {path}").splitlines() if line]
            if dict(told) != read_map(path):
                return False
        rows = (line.split() for line in ask("show servers state").splitlines()[2:] if line)
        found = {(row[1], row[3]) for row in rows if row[6] == "0"}  # not in maintenance
        places = folder.places()
        taken = {slot: app for slot, app in places.items() if app != SPARE}
        wanted = {(slot, name) for slot, app in taken.items() for name in folder.read(slot, app).servers}
        return wanted == {each for each in found if each[0] in places}

    def _worker(self) -> str:
        info = self.runtime.info()
        started = int(time.time()) - int(info["Uptime_sec"])
        known, _, when = self.folder.worker().partition(" ")
        if known == info["Pid"] and abs(int(when or 0) - started) < 5:
            return self.folder.worker()
        return f"{info['Pid']} {started}"

    def _note_worker(self) -> None:
        with suppress(EngineError):
            write(self.folder.said, self._worker())


def prepare(setup: Setup, folder: Folder, *, default_certificate: str) -> None:
    """Write all that HAProxy starts from: the words for visitors, the routes as they were last known, and `setup`. Has
    a running HAProxy read it if that is new to it; `EngineError` when that one does not like it."""
    folder.make()
    with folder.locked():
        known = {host: slot for host, slot in read_map(folder.hosts).items() if slot != CONTROL}
        write_map(folder.hosts, known | dict.fromkeys(setup.control_hosts, CONTROL))
        for path in (folder.apps, folder.challenges, folder.canaries, folder.shares):
            write_map(path, read_map(path))
        if not folder.places():
            make_spares(folder, setup, SPARES, reload=lambda: None)
        lines = folder.cert_list.read_text().splitlines() if folder.cert_list.exists() else []
        first = str(folder.default_cert)
        others = [line for line in lines if line and line != first]
        new = [
            _replace(folder.cert_list, "".join(f"{line}\n" for line in [first, *others])),
            _replace(folder.default_cert, default_certificate),
            _replace(folder.pages, "".join(f"{key} {value}\n" for key, value in pages.entries().items())),
            _replace(folder.kinds, "".join(f"{line}\n" for line in pages.KINDS)),
            _replace(
                folder.config, config.config(setup, folder)
            ),  # the last: HAProxy is started once it is there
        ]
        if any(new):
            with suppress(Away):
                Runtime(folder.socket, folder.master).reload()


def _replace(path: Path, text: str) -> bool:
    """Write a file; whether it is another one now."""
    if path.exists() and path.read_text() == text:
        return False
    write(path, text)
    return True


def make_spares(folder: Folder, setup: Setup, count: int, *, reload: Callable[[], None]) -> str:
    """Make `count` more places and return the first of them."""
    first = len(folder.places()) + 1
    slots = [f"app{number:05}" for number in range(first, first + count)]
    for slot in slots:
        folder.write(Place(slot), config.backend(slot, {}, setup), former=SPARE)
    with suppress(Away):
        reload()
    return slots[0]


def _state(route: Route) -> str:
    """What the map of apps says: the app, after @ its current version, and behind a dot why there is no answer."""
    version = f"@{route.release}" if route.release else ""
    why = _why_not(route)
    return f"{route.app}{version}.{why}" if why else f"{route.app}{version}"


def _why_not(route: Route) -> str:
    if route.maintenance:
        return "H80"
    return "" if route.backends else ASLEEP if route.asleep else route.why_none


def _name(backend: Backend) -> str:
    """A server's name: what the dyno is called, its id, and the version that it runs if that is known."""
    version = f":{backend.release}" if backend.release else ""
    return _UNSAFE.sub("_", f"{backend.dyno}:{backend.id}{version}")


def _address(backend: Backend) -> str:
    return f"[{backend.host}]:{backend.port}" if ":" in backend.host else f"{backend.host}:{backend.port}"


def _digest(certificate: Certificate) -> str:
    return hashlib.sha256(_pem(certificate).encode()).hexdigest()[:32]


def _pem(certificate: Certificate) -> str:
    """Both as one file, without empty lines: these end what a command carries."""
    lines = f"{certificate.chain}\n{certificate.key}".splitlines()
    return "".join(f"{line}\n" for line in lines if line.strip())


def _show(listed: Path, path: Path, text: str, line: str, *, new: bool) -> list[str]:
    """The commands that have HAProxy show a certificate."""
    commands = [f"new ssl cert {path}"] if new else []
    commands += [f"set ssl cert {path} <<\n{text}", f"commit ssl cert {path}"]
    return [*commands, f"add ssl crt-list {listed} <<\n{line}\n"] if new else commands


def _is_fine(answer: str) -> bool:
    last = answer.splitlines()[-1] if answer else ""
    return answer in FINE or last.startswith(
        ("Success!", "Transaction", "New empty certificate", "Certificate", "Entry")
    )


def _some(key: str, value: str) -> dict[str, str]:
    return {key: value} if value else {}


def _update(path: Path, former: dict[str, str], now: dict[str, str]) -> list[str]:
    """Write what changed into a map. Returns the commands that tell of it. What another place has meanwhile stays."""
    entries = read_map(path)
    commands = []
    for key, value in now.items():
        if entries.get(key) != value:
            commands.append(f"{'set' if key in entries else 'add'} map {path} {key} {value}")
            entries[key] = value
    for key in former.keys() - now.keys():
        if entries.get(key) == former[key]:
            commands.append(f"del map {path} {key}")
            del entries[key]
    if commands:
        write_map(path, entries)
    return commands
