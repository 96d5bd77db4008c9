"""What every dyno finds when it starts: its command and its environment."""

from engine.spec import ProcessSpec

PATH = "/usr/local/bin:/usr/bin:/bin"
# The command is an argument of the script, so that nothing in it is ever part of the script.
SCRIPT = 'for f in .profile.d/*.sh; do [ -r "$f" ] && . "./$f"; done; unset f; exec /bin/bash -c "$1"'


def command(spec: ProcessSpec) -> list[str]:
    """What to run in the slug's folder."""
    return ["/bin/bash", "-c", SCRIPT, spec.dyno, spec.command]


def environment(spec: ProcessSpec, *, home: str, tmpdir: str, port: int | None, tag: str) -> dict[str, str]:
    """Exactly what a dyno of a slug finds as its environment (bash adds PWD, SHLVL and _)."""
    usual = {"PATH": PATH, "HOME": home, "LANG": "C.UTF-8", "TMPDIR": tmpdir}
    return usual | own(spec, port=port, tag=tag)


def own(spec: ProcessSpec, *, port: int | None, tag: str) -> dict[str, str]:
    """Its config, its port and its name: what an image's own environment is amended by."""
    env = dict(spec.env)
    env.pop("PORT", None)
    if port is not None:
        env["PORT"] = str(port)
    return env | {"DYNO": spec.dyno} | markers(spec.id, tag)


def markers(dyno_id: str, tag: str) -> dict[str, str]:
    """By these a process is known as a dyno's, and as this driver's, wherever it has gone."""
    return {"SLIPWAY_DYNO": dyno_id, "SLIPWAY_INSTANCE": tag}
