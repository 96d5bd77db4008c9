"""Figures that rows tell: queues, dynos, deliveries, conductors, backups. Asked of the database when Prometheus asks."""

import shutil
import time
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from addons import volumes
from apps.logs import store
from apps.models import Dyno
from conductor import status
from conductor.backups import history
from core import changes, metrics
from hooks.models import Delivery
from pipelines.models import PromotionTarget
from releases.models import OPEN, Build, Release

QUEUES: dict[str, Any] = {
    "build": Build,
    "release": Release,
    "promotion": PromotionTarget,
    "delivery": Delivery,
}


class Rows(Collector):
    """Asks once for each scrape, a handful of questions whatever there is in the tables."""

    def collect(self) -> Iterable[Metric]:
        yield from self._queues()
        dynos = GaugeMetricFamily("slipway_dynos", "Dynos, by what they were last seen as.", labels=["state"])
        found = dict(
            Dyno.objects.exclude(one_off=True, state="down")
            .order_by()
            .values_list("state")
            .annotate(n=Count("pk"))
        )
        for state in Dyno.State.values:
            dynos.add_metric([state], found.get(state, 0))
        yield dynos
        yield _one("slipway_conductors", "Conductors that are alive.", len(status.conductors()))
        yield from self._keeping()
        yield from _lines()

    def _queues(self) -> Iterator[GaugeMetricFamily]:
        jobs = GaugeMetricFamily("slipway_jobs", "Work that has not ended.", labels=["kind", "status"])
        oldest = GaugeMetricFamily(
            "slipway_oldest_pending_seconds", "How long the oldest has waited.", labels=["kind"]
        )
        for kind, model in QUEUES.items():
            rows = model._default_manager.filter(status__in=OPEN).order_by()
            found = {
                row["status"]: row
                for row in rows.values("status").annotate(n=Count("pk"), first=Min("created_at"))
            }
            for word in OPEN:
                jobs.add_metric([kind, word], found[word]["n"] if word in found else 0)
            waited = (
                (timezone.now() - found["pending"]["first"]).total_seconds() if "pending" in found else 0.0
            )
            oldest.add_metric([kind], max(0.0, waited))
        yield jobs
        yield oldest

    def _keeping(self) -> Iterator[GaugeMetricFamily]:
        last = history.last()
        if last and last["at"]:
            yield _one("slipway_backup_age_seconds", "Since the last backup.", time.time() - last["at"])
        disk = shutil.disk_usage(settings.DATA)
        yield _one("slipway_disk_free_bytes", "Of the data folder's disk.", disk.free)
        yield _one("slipway_disk_bytes", "Of the data folder's disk, all.", disk.total)
        held = GaugeMetricFamily(
            "slipway_storage_bytes", "In each storage when it was measured last.", labels=["addon"]
        )
        for name, size in sorted(volumes.bytes_by_name().items()):
            held.add_metric([name], size)
        yield held


def _lines() -> Iterator[CounterMetricFamily]:
    """Of the log store of this process."""
    came = "Lines that this process took into the log store."
    yield CounterMetricFamily("slipway_log_lines", came, value=store().lines)
    lost = "Of those, dropped: too many at once, or no room on the disk."
    yield CounterMetricFamily("slipway_log_lines_dropped", lost, value=store().dropped)


def _one(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def registry() -> CollectorRegistry:
    """What asks the rows. Not in every process's own registry: one answer is enough."""
    found = CollectorRegistry()
    found.register(Rows())
    return found


def note_end(change: changes.Change) -> None:
    """Count a build or release that ends, once that is committed."""
    job = change.thing
    if change.verb != changes.MOVED_ON or not isinstance(job, Build | Release) or not job.finished_at:
        return
    started = (job.started_at if isinstance(job, Build) else None) or job.created_at
    seconds = (job.finished_at - started).total_seconds()
    into = metrics.BUILD_SECONDS if isinstance(job, Build) else metrics.RELEASE_SECONDS
    word = job.status
    transaction.on_commit(lambda: into.labels(word).observe(seconds))
