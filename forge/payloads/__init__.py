"""What the bodies of hooks tell, host by host."""

from collections.abc import Callable, Mapping

from forge.models import Repository
from forge.payloads import bitbucket, gitea, github, gitlab
from forge.told import Body, NothingTold, Told

Host = Repository.Host
Reader = Callable[[str, Body], list[Told]]
READERS: Mapping[str, Reader] = {
    Host.GITHUB: github.read,
    Host.GITLAB: gitlab.read,
    Host.GITEA: gitea.read,
    Host.BITBUCKET: bitbucket.read,
}


def read(host: str, event: str, body: Body) -> list[Told]:
    """What a hook tells that `host` calls `event`. `Unreadable` when it is not what the host sends."""
    reader = READERS.get(host)
    return reader(event, body) if reader else [NothingTold("This kind of host sends no hooks.")]
