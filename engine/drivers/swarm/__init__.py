"""Dynos on a Docker engine in Swarm mode: those of a formation as services, one-off ones as containers."""

from engine.drivers.swarm.driver import SwarmDriver

__all__ = ["SwarmDriver"]
