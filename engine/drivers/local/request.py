"""What the launcher is told: the command, its environment and its limits."""

from typing import Any

from engine.drivers.local import process
from engine.drivers.local.cgroups import Group
from engine.spec import ProcessSpec

FILES = 10_000
# The command is an argument of the script, so that nothing in it is ever part of the script.
SCRIPT = 'for f in .profile.d/*.sh; do [ -r "$f" ] && . "./$f"; done; unset f; exec /bin/bash -c "$1"'


def request(
    spec: ProcessSpec,
    part: dict[str, Any],
    *,
    port: int | None,
    tag: str,
    group: Group | None,
    streams: tuple[int, ...] | None = None,
) -> dict[str, Any]:
    """Everything about one start; `part` is the isolation's share of it, `streams` are standard input and output
    of who is attached to."""
    limits = {"NOFILE": FILES, "CORE": 0}
    if part["uid"] is not None and not (group and "pids" in group.folders):
        limits["NPROC"] = spec.size.pids * 4  # counted per user, so for all of the app's dynos together
    return {
        **part,
        "argv": ["/bin/bash", "-c", SCRIPT, spec.dyno, spec.command],
        "env": environment(spec, part, port, tag),
        "cgroups": group.entries if group else [],
        "limits": limits,
        "streams": list(streams) if streams else None,
        "tty": bool(spec.attach and spec.attach.tty),
    }


def environment(spec: ProcessSpec, part: dict[str, Any], port: int | None, tag: str) -> dict[str, str]:
    """Exactly what a dyno finds as its environment (bash adds PWD, SHLVL and _)."""
    env = {"PATH": process.PATH, "HOME": part["home"], "LANG": "C.UTF-8", "TMPDIR": part["tmpdir"]}
    env |= spec.env
    env.pop("PORT", None)
    if port is not None:
        env["PORT"] = str(port)
    return env | {"DYNO": spec.dyno} | markers(spec.id, tag)


def markers(dyno_id: str, tag: str) -> dict[str, str]:
    """By these a process is known as a dyno's, and as this driver's, wherever it has gone."""
    return {"SLIPWAY_DYNO": dyno_id, "SLIPWAY_INSTANCE": tag}
