"""What stands between an add-on and the server behind it: a provider is told an order, and answers config vars.

Only the conductor calls providers. Every call may come twice: what a provider makes it names after the order's id, and
its password comes from the order's secret, so that a second try finds, or makes, the very same thing. Faults are
`core.errors.EngineError`; `permanent=True` says that trying again helps nothing. No message holds a password.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Order:
    """One add-on, as its provider knows it."""

    id: str  # the add-on's UUID
    name: str  # "postgresql-curly-12345"
    service: str  # "heroku-postgresql"
    plan: str  # the plan's short name, "essential-0"
    limits: Mapping[str, int] = field(default_factory=dict)  # the plan's, by what is limited
    options: Mapping[str, str] = field(default_factory=dict)  # what was asked for with `--`
    secret: str = field(
        default="", repr=False
    )  # made once and sealed in the row: what passwords are made from


@dataclass(frozen=True)
class Provided:
    """What an app gets: config by suffix, `{"URL": …}` becomes `<ATTACHMENT>_URL`, `{"": …}` the bare name."""

    config: Mapping[str, str] = field(repr=False)
    message: str = ""  # for people


class Provider(Protocol):
    """Makes the things that a service promises."""

    def why_not(self) -> str:
        """Why nothing can be provisioned on this machine, as a sentence that says what to do; "" when it can."""
        ...

    def provision(self, order: Order) -> Provided | None:
        """Make what was ordered. None: it is under way, ask again."""
        ...

    def change_plan(self, order: Order, plan: str, limits: Mapping[str, int]) -> Provided:
        """Hold it to another plan's limits; the data stays."""
        ...

    def deprovision(self, order: Order) -> None:
        """Remove it, whatever there is of it. No error when it is gone."""
        ...

    def credential(self, order: Order, name: str) -> Provided:
        """Make a credential, or find it: what apps get that are attached with it. "" is the default one."""
        ...

    def drop_credential(self, order: Order, name: str) -> None:
        """Remove a credential. No error when it is gone."""
        ...

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """What people like to know of it, as label and text."""
        ...


@runtime_checkable
class Slow(Protocol):
    """A provider whose things may take hours, and who says when they are ready."""

    ask_again: float  # seconds until it is asked again all the same


@runtime_checkable
class Lists(Protocol):
    """A provider that can say what it holds, for whoever looks for what nobody owns."""

    def holds(self) -> set[str]:
        """The ids of the orders of this Slipway that something exists for."""
        ...


@runtime_checkable
class Maintains(Protocol):
    """A provider that may run its servers itself, and starts them again when newer programs are installed."""

    shared: bool  # whether all of its orders are on one server

    def maintains(self) -> bool:
        """Whether it does run them itself, as things are configured."""
        ...

    def outdated(self, id: str) -> bool:
        """Whether the server of the order of this id runs what has been replaced since. Quick, and for any process."""
        ...

    def renew(self, order: Order) -> None:
        """Start the order's server again if it is outdated."""
        ...
