"""Figures of the platform itself, for Prometheus. Each process counts its own; what rows say is asked when it is wanted
(`conductor.figures`). Names and labels are a promise to whoever has made dashboards of them: docs/operating.md."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

TYPE = "text/plain; version=0.0.4; charset=utf-8"
_WORK = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)

REQUESTS = Counter(
    "slipway_http_requests_total",
    "Requests to dashboard, API and git.",
    ["method", "route", "status"],
)
REQUEST_SECONDS = Histogram(
    "slipway_http_request_seconds",
    "Until the head of the answer.",
    ["route"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
BUILD_SECONDS = Histogram("slipway_build_seconds", "From claim to end.", ["status"], buckets=_WORK)
RELEASE_SECONDS = Histogram(
    "slipway_release_seconds", "From being made to the end.", ["status"], buckets=_WORK
)
LEASES_LOST = Counter(
    "slipway_leases_lost_total",
    "Writes that were turned down because the row is another worker's by now.",
    ["kind"],
)
WEBSOCKETS = Gauge("slipway_websockets", "Pages that are open, by their live connection.")

METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])


def text(*more: CollectorRegistry) -> bytes:
    """Everything that this process knows, and what `more` registries do, in the text format."""
    return b"".join(generate_latest(registry) for registry in (REGISTRY, *more))
