"""What points the stock Heroku CLI at an instance: environment variables, for the CLI and for git."""

import json
import shlex
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1")
# Behind a proxy the CLI would trust these alone, and not NODE_EXTRA_CA_CERTS.
IN_THE_WAY = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class Unreachable(Exception):
    """The CLI would not talk to an instance at this address, and what to do about it."""


def variables(url: str, *, certificate: Path | None, token: str = "") -> dict[str, str]:
    """The variables for the instance at `url`, whose TLS is vouched for by `certificate` (None: by a public authority).

    The CLI takes only addresses that contain "localhost" or "127.0.0.1"; with any other it would silently talk to
    heroku.com, so that is refused here.
    """
    place = urlsplit(url)
    host = place.hostname or ""
    if not any(name in host for name in LOOPBACK):
        raise Unreachable(
            f"The Heroku CLI does not accept {host}: it would talk to heroku.com instead, with your token. Reach the "
            f"server by a tunnel (ssh -L 8000:127.0.0.1:{place.port or 8000} {host}) and use http://localhost:8000, or "
            f"give it a second name that contains “localhost”, say localhost.{host}."
        )
    base = f"https://{place.netloc}"
    found = {
        "HEROKU_HOST": base,
        "HEROKU_PARTICLEBOARD_URL": base,
        "HEROKU_LOGIN_HOST": base,
        "HEROKU_STATUS_HOST": base,
        "HEROKU_EXEC_URL": base,
        "HEROKU_BUILDPACK_REGISTRY_URL": base,
        "HEROKU_DATA_HOST": host,
        "HEROKU_CI_WEBSOCKET_URL": f"wss://{place.netloc}/ci-events",
        "PGDIAGNOSE_URL": host,
        "HEROKU_NETRC_WRITE": "true",
        "DISABLE_TELEMETRY": "true",
        "HEROKU_SKIP_NEW_VERSION_CHECK": "true",
        "HEROKU_DISABLE_AUTOUPDATE": "true",
    }
    if certificate is not None:
        found |= {"NODE_EXTRA_CA_CERTS": str(certificate), "GIT_SSL_CAINFO": str(certificate)}
    if token:
        found["HEROKU_API_KEY"] = token
    if host not in LOOPBACK:  # elsewhere the CLI does not say by itself who asks
        if not token:
            raise Unreachable("At this address the CLI needs a token: bin/cli-env TOKEN")
        found["HEROKU_HEADERS"] = json.dumps({"Authorization": f"Bearer {token}"})
    return found


def bridged(found: dict[str, str], *, proxy: str, bundle: Path) -> dict[str, str]:
    """The same variables for a CLI that goes through the bridge at `proxy` (host:port), whose TLS `bundle` vouches for
    as well. Programs differ in which spelling they look at first. What is `IN_THE_WAY` has to go."""
    through = {name: f"http://{proxy}" for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
    never = {"NO_PROXY": "", "no_proxy": ""}
    return {**found, **through, **never, "NODE_EXTRA_CA_CERTS": str(bundle)}


def exports(found: dict[str, str]) -> str:
    """Lines for a shell to evaluate."""
    cleared = f"unset {' '.join(IN_THE_WAY)}\n" if "HTTP_PROXY" in found else ""
    return cleared + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in found.items())
