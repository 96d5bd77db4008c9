"""Named points at which a test can make the platform die, wait or fail.

`FAILPOINTS="build.slug_stored=kill;promotion.target_released=sleep:20;config.snapshot=error"`; several actions
of one name are not allowed. They work only while `settings.FAILPOINTS_ALLOWED` is true.
"""

import os
import signal
import time

from django.conf import settings

NAMES = frozenset(
    [
        "git.objects_received",
        "git.ref_updated",
        "git.build_row",
        "build.claimed",
        "build.source_fetched",
        "build.compiled",
        "build.slug_stored",
        "build.release_row",
        "release.row",
        "release.phase_started",
        "release.phase_done",
        "release.dynos_started",
        "release.canary",
        "release.router_switched",
        "release.old_stopped",
        "release.done",
        "ci.app_made",
        "ci.prepared",
        "ci.nodes_started",
        "ci.node_ended",
        "ci.done",
        "promotion.accepted",
        "promotion.target_claimed",
        "promotion.target_released",
        "promotion.done",
        "flow.promoted",
        "flow.probe_started",
        "flow.probe_done",
        "flow.rolled_back",
        "config.snapshot",
        "scale.applied",
        "log.batch_written",
        "router.switch",
        "hook.claimed",
        "hook.sent",
        "notice.claimed",
        "notice.sent",
        "blueprint.read",
        "drain.sent",
        "review.created",
        "review.predestroy",
        "review.destroying",
        "review.destroyed",
        "review.done",
        "setup.configured",
        "setup.done",
        "addon.provisioned",
        "addon.deprovisioned",
        "backup.stored",
        "restore.filled",
        "backup.snapshot",
    ]
)


class Injected(Exception):
    """What a fail point with the action `error` raises."""


def _active() -> dict[str, str]:
    if not settings.FAILPOINTS_ALLOWED:
        return {}
    text = os.environ.get("FAILPOINTS", "")
    return dict(item.split("=", 1) for item in text.split(";") if "=" in item)


def reach(name: str) -> None:
    """Mark that the code has got to `name`. Does nothing unless a test asked for more."""
    if name not in NAMES:
        raise LookupError(f"{name} is not a fail point")
    action = _active().get(name)
    if action is None:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action.startswith("sleep:"):
        time.sleep(float(action.removeprefix("sleep:")))
    elif action == "error":
        raise Injected(name)
