"""All that a slipway.yml can say. The reference in docs/slipway-yml.md is held to this by a test."""

import re
from typing import Any

from accounts.models import Membership
from blueprints.types import Choice, Field, Flag, List, Map, Number, Pattern, People, Table, Tagged, Text
from core import names
from flow import kinds
from flow.models import Gate, Line
from notices.events import OF_WORD
from pipelines.models import Stage
from reviews.models import DEFAULT_MOST, DEFAULT_STALE_DAYS, ReviewSettings

FILE = "slipway.yml"
VERSION = "1"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOCK = Pattern(kinds.CLOCK, "09:00")
MOMENT = Pattern(re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d"), "2026-12-24 18:00", empty=True)
NAME = Pattern(re.compile(r"[a-z0-9][a-z0-9-]{0,29}"), "security-review")
ROLES = (Membership.Role.ADMIN.value, Membership.Role.MEMBER.value)
SIZE = re.compile(r"(\d{1,4})(?:\s*:\s*([A-Za-z0-9-]{1,40}))?")


def _dynos(text: str) -> dict[str, Any] | None:
    """`2`, or `2:standard-2x`."""
    found = SIZE.fullmatch(text)
    if found is None:
        return None
    return {"quantity": int(found[1]), **({"size": found[2].lower()} if found[2] else {})}


def _canary(text: str) -> dict[str, Any] | None:
    return {"first": text} if text in Line.Canary.values else None


DYNOS = Table(
    "dynos",
    [
        Field("quantity", Number(0, 100), 1, "how many"),
        Field("size", Text(40), "standard-1x", "of which size"),
    ],
    short=_dynos,
)
GATES: dict[str, Table] = {
    Gate.Kind.CI: Table(
        "ci gate",
        [
            Field("runs", Flag(), True, "the tests that run here passed"),
            Field("host", Flag(), False, "the checks that the host of the repository knows passed"),
            Field("contexts", List(Text(200), 20), [], "which of the host’s checks; none: all of them"),
        ],
    ),
    Gate.Kind.HEALTHY: Table(
        "healthy gate",
        [
            Field("minutes", Number(0, 10080), 10, "without a crash"),
            Field(
                "errors",
                Number(0, 100, whole=False, none=True),
                None,
                "percent of answers with a 5xx at most",
            ),
            Field("p95", Number(1, 60_000, none=True), None, "milliseconds at most"),
        ],
    ),
    Gate.Kind.APPROVAL: Table(
        "approval gate",
        [
            Field("count", Number(1, 10), 1, "of so many people"),
            Field("people", List(Text(254)), [], "e-mail addresses of those whose word counts"),
            Field("roles", List(Choice(ROLES), 2, set_of=ROLES), [], "roles whose word counts"),
            Field("own", Flag(), False, "one’s own work may be approved by oneself"),
        ],
    ),
    Gate.Kind.COMMAND: Table(
        "command gate",
        [
            Field("command", Text(1000, empty=False), "", "what has to exit with 0", needed=True),
            Field("on", Choice(("source", "target")), "source", "whose config it runs with"),
            Field("seconds", Number(1, 3600), 300, "after which it has failed"),
        ],
    ),
    Gate.Kind.HTTP: Table(
        "http gate",
        [
            Field("url", Text(1000, empty=False), "", "an address, or a path of the source", needed=True),
            Field("status", Number(100, 599), 200, "that it has to answer"),
            Field("contains", Text(1000), "", "what has to be in the answer"),
        ],
    ),
    Gate.Kind.WEBHOOK: Table(
        "webhook gate",
        [Field("url", Text(1000, empty=False), "", "the address that is asked", needed=True)],
    ),
    Gate.Kind.WINDOW: Table(
        "window gate",
        [
            Field("days", List(Choice(DAYS), 7, set_of=DAYS), list(DAYS[:5]), "of the week"),
            Field("from", CLOCK, "09:00", "from when"),
            Field("to", CLOCK, "17:00", "to when"),
            Field("zone", Text(60), "UTC", "by the clocks of"),
        ],
    ),
}
WATCH = Table(
    "watch",
    [
        Field("on", Flag(), True, "roll back by itself what fails after a promotion"),
        Field("minutes", Number(0, 10080), 10, "how long it is watched"),
        Field("crashes", Number(0, 1000), 0, "so many are let pass"),
        Field(
            "errors", Number(0, 100, whole=False, none=True), None, "percent of answers with a 5xx at most"
        ),
        Field("p95", Number(1, 60_000, none=True), None, "milliseconds at most"),
    ],
)
CANARY = Table(
    "canary",
    [
        Field(
            "first", Choice(Line.Canary.values), "none", "one app, or a share of the traffic, before the rest"
        ),
        Field("percent", Number(1, 99), 10, "the share"),
        Field("minutes", Number(1, 1440), 5, "until the rest follows"),
    ],
    short=_canary,
)
LINE = Table(
    "line",
    [
        Field(
            "mode",
            Choice(Line.Mode.values),
            "hand",
            "who promotes: by hand, ask a person, or auto: by itself",
        ),
        Field("gates", List(Tagged(GATES), 10), [], "what has to hold"),
        Field("watch", WATCH, WATCH.defaults, "after a promotion"),
        Field("canary", CANARY, CANARY.defaults, "what comes first"),
        Field("needs_config", Flag(), False, "keep out what lacks a config var that app.json requires"),
    ],
)
STAGE = Table(
    "stage",
    [
        Field("name", NAME, "", "what it is called", needed=True),
        Field("word", Choice(Stage.Word.values), "", "the stage that scripts know it as", needed=True),
        Field("source", Choice(Stage.Origin.values), "any", "where releases of its apps come from"),
        Field("promoters", People(("deployers", "admins")), "deployers", "who may promote into it"),
        Field("readers", Choice(Stage.Readers.values), "deployers", "who may see config vars there"),
        Field("buildpacks", List(Text(300), 10), [], "of new apps; none: detected"),
        Field("build", Text(500), "", "a command after the buildpacks of new apps"),
        Field("stack", Text(40), "", "of new apps; empty: the platform’s own"),
        Field("health", Text(200), "", "the path of new apps that is asked before a release serves"),
        Field("formation", Map(names.PROCESS_TYPE, DYNOS), {}, "dynos of new apps, by process type"),
        Field("addons", List(Text(100), 20), [], "plans of add-ons that apps get"),
        Field("line", LINE, LINE.defaults, "how releases pass into it"),
    ],
)
FREEZE = Table(
    "freeze",
    [
        Field("name", Text(100, empty=False), "", "why", needed=True),
        Field("stage", Text(30), "", "which one; empty: all of the pipeline"),
        Field("begins", MOMENT, "", "of one that is once"),
        Field("ends", MOMENT, "", "of one that is once"),
        Field("days", List(Choice(DAYS), 7, set_of=DAYS), [], "of one that is weekly"),
        Field("from", CLOCK, "00:00", "on each of the days"),
        Field("to", CLOCK, "24:00", "on each of the days"),
        Field("zone", Text(60), "UTC", "by the clocks of"),
    ],
)
PART = Table(
    "part",
    [
        Field("name", Text(20, empty=False), "", "what its apps are called besides", needed=True),
        Field("path", Text(255), "", "the folder that it is built from; empty: the whole"),
    ],
)
REVIEWS = Table(
    "reviews",
    [
        Field("enabled", Flag(), False, "review apps can be made"),
        Field("automatic", Flag(), False, "for each pull request, as it opens"),
        Field("drafts", Flag(), False, "also while it is a draft"),
        Field("wait_for_ci", Flag(), False, "only once its tests have passed"),
        Field("destroy_stale", Flag(), False, "destroy those of which nothing is heard"),
        Field("stale_days", Number(1, 30), DEFAULT_STALE_DAYS, "for so many days"),
        Field("predictable", Flag(), False, "names without a random part"),
        Field("base_name", Text(20), "", "what names begin with; empty: as the pipeline"),
        Field("most", Number(1, 100), DEFAULT_MOST, "at once"),
        Field("sleep_minutes", Number(0, 10080), 0, "without a request until they sleep; 0: never"),
        Field("forks", Choice(ReviewSettings.Forks.values), "ask", "pull requests from elsewhere"),
        Field("parts", List(PART, 10), [], "several apps, each of a folder"),
    ],
)
CI = Table(
    "ci",
    [
        Field("on_push", Flag(), False, "each push of a branch is tested"),
        Field("supersede", Flag(), True, "a push cancels the run of an older one that has not begun"),
    ],
)
CHANNEL = Table(
    "channel",
    [
        Field("channel", Text(60, empty=False), "", "its name; it has to be there", needed=True),
        Field("events", List(Choice(tuple(OF_WORD)), 50, set_of=tuple(OF_WORD)), [], "what it is told of"),
    ],
)
ROOT = Table(
    "slipway.yml",
    [
        Field("version", Choice((VERSION,)), VERSION, "of this format"),
        Field("stages", List(STAGE, 20), None, "all of them, in the order of the board"),
        Field("freezes", List(FREEZE, 50), None, "all of them: hours and days in which nothing passes"),
        Field("reviews", REVIEWS, None, "review apps"),
        Field("ci", CI, None, "when tests run"),
        Field("notifications", List(CHANNEL, 20), None, "what channels are told of; others stay as they are"),
    ],
)
TABLES = (
    ROOT, STAGE, DYNOS, LINE, WATCH, CANARY, *GATES.values(), FREEZE, REVIEWS, PART, CI, CHANNEL,
)  # fmt: skip
SECTIONS = ("stages", "freezes", "reviews", "ci", "notifications")
