"""What the launcher is told: the command, its environment and its limits."""

from typing import Any

from engine.drivers.environment import command, environment
from engine.drivers.local.cgroups import Group
from engine.spec import ProcessSpec

FILES = 10_000


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
        "argv": command(spec),
        "env": environment(spec, home=part["home"], tmpdir=part["tmpdir"], port=port, tag=tag),
        "cgroups": group.entries if group else [],
        "limits": limits,
        "streams": list(streams) if streams else None,
        "volumes": list(spec.volumes),
        "tty": bool(spec.attach and spec.attach.tty),
    }
