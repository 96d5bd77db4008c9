"""What Slipway works with: database, bus, conductor, engine, images, and its own front door."""

import http.client
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import docker
import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from docker.errors import DockerException, ImageNotFound

from conductor import status
from conductor.doctor.finding import Check, Finding, ok, problem, warning
from core.errors import BuildFailed
from engine.builder.containers.cnb.builder import read as read_builder

SECONDS = 5
OLDEST_API = (1, 41)
SOON_DAYS = 20


def database() -> Iterator[Finding]:
    """It answers, and is of this version."""
    names = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
    name = names.get(connection.vendor, connection.vendor)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        executor = MigrationExecutor(connection)
        open = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        yield problem("Database", f"{name} does not answer: {error}", "Start it, and check DATABASE_URL.")
        return
    if open:
        yield problem("Database", f"{name} lacks {len(open)} migrations", "Run manage.py migrate.")
    else:
        yield ok("Database", f"{name} {_server()}answers, all migrations applied".strip())


def _server() -> str:
    """PostgreSQL's version, and how many connections there are."""
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), count(*), current_setting('max_connections')"
            " FROM pg_stat_activity"
        )
        number, used, most = cursor.fetchone()
    return f"{number} ({used} of {most} connections in use) "


def bus() -> Iterator[Finding]:
    """Redis, where parts run apart."""
    if not settings.REDIS_URL:
        if connection.vendor == "postgresql":
            advice = (
                "Set REDIS_URL if web and conductor are separate processes: they don't hear of each other."
            )
            yield warning("Redis", "none", advice)
        return
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)
    try:
        told: Any = client.info("server")
    except redis.RedisError as error:
        yield problem("Redis", f"does not answer: {error}", "Start it, and check REDIS_URL.")
        return
    finally:
        client.close()
    yield ok("Redis", f"{told['redis_version']} answers")


def conductor() -> Iterator[Finding]:
    """Without one nothing moves."""
    found = status.conductors()
    if not found:
        yield problem(
            "Conductor", "none is alive", "Start bin/up, or manage.py conduct where the parts run apart."
        )
    else:
        yield ok("Conductor", f"{len(found)} alive" if len(found) > 1 else "alive")


def engine() -> Iterator[Finding]:
    """Docker, in Swarm mode, and the images that dynos run on."""
    if settings.ENGINE_URL == "local:":
        return
    if settings.ENGINE_URL.startswith("swarm+tcp:"):
        advice = "Whoever reaches that port is root on its machine. Use the socket, or keep the port to a private network."
        yield warning("Engine's address", "Docker is spoken to by TCP", advice)
    client: Any = None
    try:
        client = docker.DockerClient(base_url=settings.ENGINE_URL.removeprefix("swarm+"), timeout=SECONDS)
        yield from _engine(client)
        yield from _images(client)
        yield from _builder(client)
    except (DockerException, OSError) as error:
        yield problem(
            "Engine",
            f"does not answer: {error}",
            "Start Docker, and check ENGINE_URL. Only the conductor needs it.",
        )
    finally:
        if client is not None:
            client.close()


def _engine(client: Any) -> Iterator[Finding]:
    told, info = client.version(), client.info()
    parts = {part["Name"]: part["Version"] for part in told.get("Components", [])}
    runc = f", runc {parts['runc']}" if "runc" in parts else ""
    text = f"Docker {told['Version']} (API {told['ApiVersion']}{runc})"
    swarm = info["Swarm"].get("LocalNodeState")
    if tuple(int(part) for part in told["ApiVersion"].split(".")) < OLDEST_API:
        yield problem("Engine", text, "Install Docker 20.10 or newer.")
    elif swarm != "active":
        yield problem("Engine", f"{text}; Swarm is {swarm}", "Run docker swarm init.")
    elif not info["Swarm"].get("ControlAvailable"):
        yield problem("Engine", f"{text}; this node is a worker", "Let the conductor speak to a manager.")
    else:
        yield ok("Engine", text)
    for warned in info.get("Warnings") or []:
        if "swap" not in warned and "bridge-nf" not in warned:
            yield warning(
                "Engine", warned.removeprefix("WARNING: "), "Docker's documentation says how to mend it."
            )


def _images(client: Any) -> Iterator[Finding]:
    for name in (settings.STACK_IMAGE, f"{settings.STACK_IMAGE}-build"):
        try:
            found = client.images.get(name)
        except ImageNotFound:
            yield problem(
                "Stack image", f"{name} is not there", "Run bin/make-stack on the engine's machine."
            )
        else:
            made = str(found.attrs.get("Created", ""))[:10]
            yield ok("Stack image", f"{name}, made {made}")


def _builder(client: Any) -> Iterator[Finding]:
    """The builder of the stack cnb, if there is to be one, and its run image."""
    name = settings.CNB_BUILDER
    if not name:
        return
    missing = "The first build on the stack cnb pulls it; docker pull does so now."
    try:
        image = client.images.get(name)
    except ImageNotFound:
        yield warning("Builder", f"{name} is not there yet", missing)
        return
    try:
        builder = read_builder(name, image.id, image.attrs["Config"])
        client.images.get(builder.run_image)
    except BuildFailed as fault:
        yield problem("Builder", str(fault), "Set SLIPWAY_CNB_BUILDER to another one, or to nothing.")
    except ImageNotFound:
        yield warning("Builder", f"The run image {builder.run_image} of {name} is not there yet", missing)
    else:
        yield ok("Builder", f"{name}, Platform API {builder.api}, {len(builder.buildpacks)} buildpacks")


def front_door() -> Iterator[Finding]:
    """The address that people type leads here, and its certificate is good."""
    url = urlsplit(settings.URL)
    host, port = url.hostname or "localhost", url.port
    secure = url.scheme == "https"
    link = (
        http.client.HTTPSConnection(host, port, timeout=SECONDS)
        if secure
        else http.client.HTTPConnection(host, port, timeout=SECONDS)
    )
    try:
        link.connect()
        certificate = link.sock.getpeercert() if isinstance(link.sock, ssl.SSLSocket) else None
        link.request("GET", "/health/ready")
        code = link.getresponse().status
    except ssl.SSLCertVerificationError as error:
        advice = "Add a certificate for it, or let the router fetch one (docs/operating.md)."
        yield warning("Front door", f"{settings.URL}: {error.verify_message}", advice)
        return
    except (OSError, http.client.HTTPException) as error:
        advice = (
            "Check the router, the firewall, and SLIPWAY_URL. From inside, some networks don't lead back."
        )
        yield warning("Front door", f"{settings.URL} does not answer from here: {error}", advice)
        return
    finally:
        link.close()
    if code == 200:
        yield ok("Front door", f"{settings.URL} answers")
    else:
        yield problem(
            "Front door", f"{settings.URL} answers {code}", "See that a web process runs and is ready."
        )
    yield from _certificate(certificate)


def _certificate(told: Any) -> Iterator[Finding]:
    if not told:
        return
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(told["notAfter"]), UTC)
    days = (ends - datetime.now(UTC)).days
    text = f"for {settings.URL} ends on {ends:%-d %B %Y}"
    if days < SOON_DAYS:
        yield warning("Certificate", text, "Renew it; one that is fetched by ACME should have been by now.")
    else:
        yield ok("Certificate", text)


CHECKS: tuple[Check, ...] = (database, bus, conductor, engine, front_door)
