"""The buildpacks that Slipway brings along, and the order in which they are tried."""

from typing import Any

from engine.builder.builtin.procfile import Procfile
from engine.builder.builtin.python import Python

BUILTINS: dict[str, Any] = {"python": Python, "procfile": Procfile}
ORDER = ("python", "procfile")
