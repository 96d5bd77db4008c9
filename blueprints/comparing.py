"""What would change, in words: two documents compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from blueprints import schema
from blueprints.document import Document
from blueprints.types import Table
from flow import kinds

ADDED, CHANGED, REMOVED = "added", "changed", "removed"


@dataclass(frozen=True)
class Change:
    """One thing that would be otherwise. `where` is the part of the pipeline, `before` and `after` are in words."""

    how: str  # added, changed, removed
    where: str
    what: str
    before: str = ""
    after: str = ""

    @property
    def mark(self) -> str:
        """As a diff has it."""
        return {ADDED: "+", REMOVED: "-"}.get(self.how, "~")

    def __str__(self) -> str:
        if self.how == CHANGED:
            return f"{self.where}: {self.what} from {self.before or 'nothing'} to {self.after or 'nothing'}"
        return f"{self.where}: {self.what} {self.how}"


def changes(now: Document, wanted: Document) -> list[Change]:
    """What is otherwise in `wanted`, in the order of the file; of sections that it does not have, nothing."""
    found: list[Change] = []
    for section, compare in SECTIONS.items():
        if section in wanted:
            found += compare(now[section], wanted[section])
    return found


def _stages(now: list[Document], wanted: list[Document]) -> Iterator[Change]:
    before, after = by_name(now), by_name(wanted)
    for name in before:
        if name not in after:
            yield Change(REMOVED, title(name), "the stage")
    for name, stage in after.items():
        if name not in before:
            yield Change(ADDED, title(name), "the stage")
        yield from _stage(before.get(name) or _fresh(stage), stage)
    kept = [name for name in before if name in after], [name for name in after if name in before]
    if kept[0] != kept[1]:
        yield Change(CHANGED, "Stages", "the order", ", ".join(kept[0]), ", ".join(kept[1]))


def _fresh(stage: Document) -> Document:
    """A stage as it would be with nothing but its name and word."""
    return {**schema.STAGE.defaults, "name": stage["name"], "word": stage["word"]}


def _stage(now: Document, wanted: Document) -> Iterator[Change]:
    where = title(wanted["name"])
    for field in schema.STAGE.fields:
        if field.key == "line":
            yield from _line(where, now["line"], wanted["line"])
        elif now[field.key] != wanted[field.key]:
            yield Change(
                CHANGED,
                where,
                LABELS.get(field.key, field.key),
                words(now[field.key]),
                words(wanted[field.key]),
            )


def _line(where: str, now: Document, wanted: Document) -> Iterator[Change]:
    for key in ("mode", "needs_config"):
        if now[key] != wanted[key]:
            yield Change(CHANGED, where, LABELS[key], words(now[key]), words(wanted[key]))
    for table in (schema.WATCH, schema.CANARY):
        yield from _table(f"{where}, {table.name}", table, now[table.name], wanted[table.name])
    removed, added, changed = gate_changes(now["gates"], wanted["gates"])
    for gate in removed:
        yield Change(REMOVED, where, f"the gate “{in_words(gate)}”")
    for before, after in changed:
        old, new = _otherwise(before["settings"], after["settings"])
        yield Change(CHANGED, where, f"the gate “{in_words(before)}”", old, new)
    for gate in added:
        yield Change(ADDED, where, f"the gate “{in_words(gate)}”", after=settings_of(gate))


def _otherwise(before: Document, after: Document) -> tuple[str, str]:
    """What is set otherwise, before and after."""
    keys = [key for key in after if before[key] != after[key]]
    return words({key: before[key] for key in keys}), words({key: after[key] for key in keys})


Gates = list[Document]


def gate_changes(now: Gates, wanted: Gates) -> tuple[Gates, Gates, list[tuple[Document, Document]]]:
    """Which gates to remove, to add, and to set otherwise: one stays one as long as its kind stays."""
    old, new = _without(now, wanted), _without(wanted, now)
    changed = []
    for gate in list(new):
        like = next((one for one in old if one["kind"] == gate["kind"]), None)
        if like is not None:
            old.remove(like)
            new.remove(gate)
            changed.append((like, gate))
    return old, new, changed


def _without(rows: list[Any], others: list[Any]) -> list[Any]:
    """The rows that `others` has not, each as often as it is missing there."""
    left, found = list(others), []
    for row in rows:
        if row in left:
            left.remove(row)
        else:
            found.append(row)
    return found


def _freezes(now: list[Document], wanted: list[Document]) -> Iterator[Change]:
    removed, added = freeze_changes(now, wanted)
    for freeze in removed:
        yield Change(REMOVED, "Freezes", f"“{freeze['name']}”", before=_when(freeze))
    for freeze in added:
        yield Change(ADDED, "Freezes", f"“{freeze['name']}”", after=_when(freeze))


def freeze_changes(now: list[Document], wanted: list[Document]) -> tuple[list[Document], list[Document]]:
    """Which to remove and which to add."""
    return _without(now, wanted), _without(wanted, now)


def _when(freeze: Document) -> str:
    if freeze["begins"]:
        when = f"{freeze['begins']} to {freeze['ends']}"
    else:
        when = f"{', '.join(freeze['days'])} {freeze['from']} to {freeze['to']}"
    return f"{when} {freeze['zone']}" + (f", {title(freeze['stage'])}" if freeze["stage"] else "")


def _channels(now: list[Document], wanted: list[Document]) -> Iterator[Change]:
    before = {one["channel"]: one["events"] for one in now}
    for one in wanted:
        events = before.get(one["channel"])
        if events is None:
            yield Change(CHANGED, one["channel"], "what it is told of", "", words(one["events"]))
        elif events != one["events"]:
            yield Change(CHANGED, one["channel"], "what it is told of", words(events), words(one["events"]))


def _of_table(table: Table, where: str) -> Any:
    return lambda now, wanted: _table(where, table, now, wanted)


def _table(where: str, table: Table, now: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Change]:
    for field in table.fields:
        if now[field.key] != wanted[field.key]:
            yield Change(
                CHANGED, where, field.key.replace("_", " "), words(now[field.key]), words(wanted[field.key])
            )


SECTIONS = {
    "stages": _stages,
    "freezes": _freezes,
    "reviews": _of_table(schema.REVIEWS, "Review apps"),
    "ci": _of_table(schema.CI, "CI"),
    "notifications": _channels,
}
LABELS = {
    "word": "the word for scripts",
    "source": "where releases come from",
    "promoters": "who may promote into it",
    "readers": "who may see config vars",
    "build": "the build command",
    "health": "the health path",
    "addons": "add-ons",
    "mode": "how releases pass into it",
    "needs_config": "required config vars keep out",
}


def by_name(stages: list[Document]) -> dict[str, Document]:
    """Stages by their names, in their order."""
    return {stage["name"]: stage for stage in stages}


def title(name: str) -> str:
    """As the board heads a stage."""
    return "Review apps" if name == "review" else name.replace("-", " ").capitalize()


def in_words(gate: Document) -> str:
    """A gate as the board says it."""
    said = dict(gate["settings"])
    if gate["kind"] == "window":
        said["days"] = [schema.DAYS.index(day) for day in said["days"]]
    return kinds.in_words(gate["kind"], said)


def settings_of(gate: Document) -> str:
    """What is set of it, in words."""
    table = schema.GATES[gate["kind"]]
    said = {
        field.key: gate["settings"][field.key]
        for field in table.fields
        if gate["settings"][field.key] != field.default or field.needed
    }
    return words(said) or "as usual"


def words(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return "nothing"
    if isinstance(value, dict):
        if set(value) == {"quantity", "size"}:
            return f"{value['quantity']} × {value['size']}"
        return "; ".join(f"{key} {words(one)}" for key, one in value.items()) or "nothing"
    if isinstance(value, list):
        return ", ".join(words(one) for one in value) or "nothing"
    return str(value)
