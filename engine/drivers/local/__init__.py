"""Dynos as processes of this machine."""

from engine.drivers.local.driver import LocalDriver

__all__ = ["LocalDriver"]
