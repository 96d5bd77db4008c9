"""What the pages of lines, gates and passages show."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import Prefetch

from accounts.access import DEPLOY, MANAGE
from accounts.models import User
from apps import access as app_access
from core.errors import NotFound
from dashboard.forms import Form
from dashboard.gate_forms import DAYS, ICONS, PURPOSES, choices, defaults
from dashboard.line_pills import SILENT, line_into, pill_of, stages_with_lines
from dashboard.progress import short_names
from dashboard.standing import Standing
from flow import access as flow_access
from flow import actions, gates, kinds
from flow.gates import GateState
from flow.models import Gate, Hold, Line, Passage, Probe, Verdict
from flow.stands import stand_of
from pipelines import access, changes, stages
from pipelines.models import Pipeline, Stage
from releases.streams import may_read

PER_PAGE, PROBES, NAMEABLE = 30, 3, 200

PASSAGE = {
    "open": Standing("waiting", "Waiting"),
    "promoted": Standing("live", "Promoted"),
    "superseded": Standing("stopped", "Superseded"),
    "refused": Standing("failed", "Turned down"),
}
GATE = {
    "passed": Standing("passed", "Passed"),
    "waiting": Standing("waiting", "Waiting"),
    "failed": Standing("failed", "Shut"),
}
PROBE = {
    "pending": Standing("queued", "Queued"),
    "running": Standing("building", "Running"),
    "succeeded": Standing("passed", "Passed"),
    "failed": Standing("failed", "Failed"),
}


@dataclass(frozen=True)
class Try:
    """A probe, and where its output is, for who may read it."""

    probe: Probe
    state: Standing
    stream: str = ""


@dataclass(frozen=True)
class Check:
    """A gate as a passage stands before it, with the last tries of one that finds out by doing something."""

    said: GateState
    icon: str
    state: Standing
    tries: list[Try]

    @property
    def again(self) -> bool:
        """Whether it can be tried once more now."""
        open_ = any(one.probe.status in ("pending", "running") for one in self.tries)
        return self.said.kind in kinds.PROBED and not open_


# --- a line --------------------------------------------------------------------------------------------------------------


def line_context(
    pipeline: Pipeline, rights: frozenset[str], stage_name: str, form: Form | None = None
) -> dict[str, Any]:
    """A line with its gates, holds and last passages. `form` holds what was turned down."""
    rows = stages_with_lines(pipeline)
    at = next((index for index, row in enumerate(rows) if row.name == stage_name), None)
    if at is None or rows[at].word == Stage.Word.REVIEW:
        raise NotFound("Nothing is promoted into that stage.", resource="stage")
    stage = rows[at]
    line = line_into(stage) or Line(stage=stage)
    gates_there = list(Gate.objects.filter(line=line).defer("sealed_secret"))
    return {
        "pipeline": pipeline,
        "tab": "settings",
        "section": "stages",
        "stage": stage,
        "before": rows[at - 1] if at and rows[at - 1].word not in SILENT else None,
        "line": line,
        "pill": pill_of(line),
        "gates": [(gate, ICONS[gate.kind], kinds.in_words(gate.kind, gate.settings)) for gate in gates_there],
        "kinds": choices(),
        "full": len(gates_there) >= actions.MAX_GATES,
        "modes": [(value, label, MODES[value]) for value, label in Line.Mode.choices],
        "canaries": [(value, label, CANARIES[value]) for value, label in Line.Canary.choices],
        "form": (form or Form()).over(_line_fields(line)),
        "holds": _holds(pipeline, stage),
        "last": _last(line),
        "may_manage": MANAGE in rights,
        "may_stop": DEPLOY in rights,
    }


MODES = {
    "hand": "Somebody presses Promote. What the gates say keeps them from it, unless a manager gives a reason.",
    "ask": "Once all gates hold, people are told, and it goes on when one of them says yes.",
    "auto": "The newest release goes on as soon as all gates hold, in the name of who chose this.",
}
CANARIES = {
    "none": "Every app of the stage, one after another.",
    "app": "The first app of the stage; the others follow when it stayed well.",
    "share": "A part of the requests of each app; the rest follows when it stayed well.",
}
LINE_FIELDS = (
    "mode",
    "soak_minutes",
    "watch",
    "most_crashes",
    "most_errors",
    "most_p95",
    "canary",
    "canary_percent",
    "canary_minutes",
    "needs_config",
)


def _line_fields(line: Line) -> dict[str, str]:
    values = {key: getattr(line, key) for key in LINE_FIELDS}
    words = {True: "on", False: "", None: ""}
    return {
        key: words[value] if value is None or isinstance(value, bool) else _plain(value)
        for key, value in values.items()
    }


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _holds(pipeline: Pipeline, stage: Stage) -> list[Hold]:
    rows = actions.open_holds(pipeline)
    return [hold for hold in rows if hold.line is None or hold.line.stage_id == stage.pk]


def _last(line: Line) -> Passage | None:
    """The last passage that was promoted over it."""
    rows = Passage.objects.filter(line=line, state=Passage.State.PROMOTED).select_related("source", "release")
    return rows.first()


def gate_context(
    pipeline: Pipeline, stage: Stage, kind: str, form: Form, gate: Gate | None = None
) -> dict[str, Any]:
    """The form of one gate, there or to come; `NotFound` when there is no such kind."""
    defaults(kind)
    name = dict(Gate.Kind.choices)[Gate.Kind(kind)]
    people = list(stages.candidates(pipeline)[:NAMEABLE]) if kind == "approval" else []
    return {
        "pipeline": pipeline,
        "tab": "settings",
        "stage": stage,
        "gate": gate,
        "kind": kind,
        "kind_name": name,
        "icon": ICONS[kind],
        "purpose": PURPOSES[kind],
        "rule": kinds.in_words(gate.kind, gate.settings) if gate else "",
        "form": form,
        "everybody": people,
        "roles": [("admin", "Admins"), ("member", "Members")],
        "days": list(enumerate(DAYS)),
    }


def history_context(user: User, pipeline: Pipeline, stage: Stage, page: str) -> dict[str, Any]:
    """What passed over a line, or did not, newest first: of the apps that `user` sees."""
    rows = Passage.objects.filter(line__stage=stage, source__in=app_access.apps_for(user))
    rows = rows.select_related("source", "release__slug", "promotion__by").prefetch_related(
        Prefetch("verdicts", Verdict.objects.select_related("user"))
    )
    shown = Paginator(rows, PER_PAGE).get_page(page)
    return {
        "pipeline": pipeline,
        "tab": "settings",
        "section": "stages",
        "stage": stage,
        "page": shown,
        "passages": [(row, PASSAGE[row.state]) for row in shown],
    }


# --- a passage -----------------------------------------------------------------------------------------------------------


def passage_in(pipeline: Pipeline, user: User, passage_id: UUID) -> Passage:
    """The passage of that id, where `user` may see the app that it comes from."""
    rows = Passage.objects.filter(
        line__stage__pipeline=pipeline, pk=passage_id, source__in=app_access.apps_for(user)
    )
    related = ("line__stage", "line__by", "source", "slug", "release__slug", "promotion__by")
    found = rows.select_related(*related).prefetch_related("line__gates").first()
    if found is None:
        raise NotFound("Couldn't find that release before a gate.", resource="passage")
    found.line.stage.pipeline = pipeline
    return found


def passage_context(
    user: User, pipeline: Pipeline, rights: frozenset[str], passage: Passage, form: Form
) -> dict[str, Any]:
    """One release before the gates of a line: what each says, what people said, and what the viewer can do."""
    verdicts = list(passage.verdicts.select_related("user"))
    opened = passage.state == Passage.State.OPEN
    stand = stand_of(passage.line, [])
    against = [*stand.holds, *stand.freezes] if opened else []
    checks = _checks(user, passage)
    waits = sum(not check.said.passed for check in checks)
    asks = any(check.said.kind == Gate.Kind.APPROVAL for check in checks)
    free = opened and not waits and not against
    by_hand = passage.line.mode == Line.Mode.HAND and DEPLOY in rights
    return {
        "pipeline": pipeline,
        "tab": "board",
        "passage": passage,
        "stage": passage.line.stage,
        "line": passage.line,
        "state": PASSAGE[passage.state],
        "checks": checks,
        "verdicts": verdicts,
        "said": next((verdict for verdict in verdicts if verdict.user_id == user.pk), None),
        "decides": opened and asks and flow_access.may_decide(user, passage),
        "lets_pass": free and flow_access.may_let_pass(user, passage),
        "promotes": free and by_hand and access.may_promote_into(user, passage.line.stage),
        "waits": waits,
        "against": against,
        "may_change": DEPLOY in rights,
        "form": form,
    }


def changes_context(user: User, pipeline: Pipeline, passage: Passage) -> dict[str, Any]:
    """What would change in the apps of the stage, for who may deploy the app that it comes from."""
    seen = access.visible_couplings(user, pipeline)
    rows: list[Any] = list(app_access.with_rights(seen, user, app="app__"))
    source = next((row for row in rows if row.app_id == passage.source_id), None)
    if source is None or DEPLOY not in app_access.rights_found(user, source.app, source):
        source = access.coupling_in(pipeline, user, passage.source.name, to=DEPLOY)
    there = [row for row in rows if row.stage_id == passage.line.stage_id]
    ground = changes.survey([row.app for row in (source, *there)])
    built = {pk: release.slug.app_id for pk, release in ground.current.items() if release and release.slug}
    targets = source.likely(there, built)
    both = [source, *targets]
    ruled = any(row.stage.readers == Stage.Readers.ADMINS for row in both)
    hidden = access.hiding_from(user, [row.app for row in both]) if ruled else frozenset()
    return {
        "pipeline": pipeline,
        "tab": "board",
        "passage": passage,
        "source": source,
        "release": passage.release,
        "targets": targets,
        "labels": short_names([row.app for row in both]),
        "plan": changes.plan(source, passage.release, targets, ground=ground, hidden=hidden),
    }


def _checks(user: User, passage: Passage) -> list[Check]:
    """From the copy that is kept of what the gates said last; asked anew where there is none yet."""
    said = [gates.restored(one) for one in passage.shown] or gates.states(passage)
    commands = {one.gate for one in said if one.kind == Gate.Kind.COMMAND}
    tries = _tries(user, passage, commands)
    return [Check(one, ICONS[one.kind], GATE[one.state], tries.get(one.gate, [])) for one in said]


def _tries(user: User, passage: Passage, commands: Collection[str]) -> dict[str, list[Try]]:
    """The last few probes of each gate, by its id; the newest of those in `commands` with its output, for who may
    read it."""
    found: dict[str, list[Try]] = {}
    for probe in Probe.objects.filter(passage=passage)[: PROBES * actions.MAX_GATES]:
        gate = str(probe.gate_id)
        rows = found.setdefault(gate, [])
        if len(rows) < PROBES:
            shown = not rows and gate in commands and may_read(user, probe.log_stream)
            rows.append(Try(probe, PROBE[probe.status], probe.log_stream if shown else ""))
    return found
