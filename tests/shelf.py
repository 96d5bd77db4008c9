"""A provider of add-ons that is whole and small: what it makes are files in a folder, which die with no process."""

import json
from pathlib import Path

from addons.providers import Order, Provided
from core.errors import EngineError


class Shelf:
    """Keeps a file for each order. `slow` makes it answer None so often first, `broken` makes it fail, `absent` says
    why it can't."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.slow = 0
        self.broken: EngineError | None = None
        self.absent = ""
        self.calls: list[str] = []

    def why_not(self):
        return self.absent

    def provision(self, order: Order):
        self._called("provision")
        self._write(order, {"plan": order.plan, "credentials": [], "options": dict(order.options)})
        if self.broken:
            raise self.broken
        if self.slow:
            self.slow -= 1
            return None
        return Provided({"URL": f"shelf://{order.secret}@{order.id}"}, "It is on the shelf.")

    def change_plan(self, order: Order, plan, limits):
        self._called("change_plan")
        if self.broken:
            raise self.broken
        self._write(order, {**self.read(order.id), "plan": plan})
        return Provided({"URL": f"shelf://{order.secret}@{order.id}"}, f"It is {plan} now.")

    def deprovision(self, order: Order):
        self._called("deprovision")
        if self.broken and self.broken.permanent is None:
            raise self.broken
        (self.folder / order.id).unlink(missing_ok=True)

    def credential(self, order: Order, name):
        self._called("credential")
        kept = self.read(order.id)
        self._write(order, {**kept, "credentials": [*kept["credentials"], name]})
        return Provided({"URL": f"shelf://{name}:{len(kept['credentials'])}@{order.id}"})

    def drop_credential(self, order: Order, name):
        self._called("drop_credential")

    def facts(self, order: Order):
        return [("Plan", self.read(order.id)["plan"])]

    def holds(self):
        return {path.name for path in self.folder.iterdir()}

    def read(self, id):
        return json.loads((self.folder / str(id)).read_text())

    def _called(self, name):
        self.calls.append(name)

    def _write(self, order, told):
        (self.folder / order.id).write_text(json.dumps(told))
