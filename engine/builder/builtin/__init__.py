"""The buildpacks that Slipway brings along, and the order in which they are tried."""

from typing import Any

from engine.builder.builtin.node import Node
from engine.builder.builtin.procfile import Procfile
from engine.builder.builtin.python import Python
from engine.builder.builtin.static import Static

BUILTINS: dict[str, Any] = {"python": Python, "nodejs": Node, "static": Static, "procfile": Procfile}
ORDER = tuple(BUILTINS)
