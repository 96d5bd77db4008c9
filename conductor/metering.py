"""The meters, now and then: what they counted goes into the ledger, and budgets are looked at."""

from metering import budgets, meters

EVERY_SECONDS = 600.0


def keep() -> None:
    """Make up for changes nobody told of, write what was counted, tell of budgets. Safe to run twice, and by two."""
    meters.settle_all()
    meters.cut()
    budgets.look()
