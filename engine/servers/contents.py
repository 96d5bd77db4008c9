"""A look into a database, and small things done in it at once, with the rights of the apps that use it."""

from dataclasses import dataclass
from typing import Any

from psycopg import sql

from engine.servers.databases import Session, connection

SECONDS = 20  # that anything here may take


@dataclass(frozen=True)
class Look:
    """What there is to see from outside."""

    version: str
    bytes: int
    tables: int
    connections: int
    connections_limit: int  # -1: none
    hit_rate: float | None  # of reads that needed no disk; None while there were none
    extensions: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """One check of a diagnosis: green, yellow or red."""

    name: str
    status: str
    results: tuple[dict[str, Any], ...] = ()


def look(url: str) -> Look:
    """How it is. `EngineError` when it can't be reached."""
    with connection(url) as inside:
        inside.execute(f"SET statement_timeout = '{SECONDS}s'")
        row = inside.execute(
            "SELECT current_setting('server_version'), pg_database_size(current_database()), "
            "(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p') "
            "AND nspname !~ '^pg_' AND nspname <> 'information_schema'), "
            "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND application_name <> 'slipway'), "
            "(SELECT datconnlimit FROM pg_database WHERE datname = current_database()), "
            "(SELECT blks_hit::float / nullif(blks_hit + blks_read, 0) FROM pg_stat_database "
            "WHERE datname = current_database()), "
            "(SELECT coalesce(array_agg(extname::text ORDER BY 1), '{}') FROM pg_extension)"
        ).fetchone()
    assert row is not None
    return Look(str(row[0]).split()[0], row[1], row[2], row[3], row[4], row[5], tuple(row[6]))


def empty(url: str) -> None:
    """Drop all there is, in one transaction: all of it or nothing."""
    with connection(url) as inside, inside.transaction():
        inside.execute(f"SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '{SECONDS}s'")
        schemas = inside.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
        ).fetchall()
        for (name,) in schemas:
            inside.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
        inside.execute("CREATE SCHEMA public")
        inside.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")


def diagnose(url: str, here: list[Session]) -> list[Finding]:
    """What may be wrong with it, and with those who are in it: connections, long and idle transactions, locks, reads
    from the disk, dead indexes."""
    seen = look(url)
    with connection(url) as inside:
        unused = inside.execute(
            "SELECT relname, indexrelname, pg_size_pretty(pg_relation_size(indexrelid)) "
            "FROM pg_stat_user_indexes JOIN pg_index USING (indexrelid) WHERE idx_scan = 0 AND NOT indisunique "
            "AND pg_relation_size(indexrelid) > 1000000 ORDER BY pg_relation_size(indexrelid) DESC LIMIT 10"
        ).fetchall()
    share = seen.connections / seen.connections_limit if seen.connections_limit > 0 else 0.0
    long = [each for each in here if each.state == "active" and each.seconds > 60]
    idle = [each for each in here if each.state.startswith("idle in transaction") and each.seconds > 60]
    blocked = [each for each in here if each.blocked_by]
    hits = seen.hit_rate
    return [
        Finding(
            "Connection Count",
            "red" if share >= 0.9 else "yellow" if share >= 0.75 else "green",
            ({"connections": seen.connections, "limit": seen.connections_limit},),
        ),
        Finding("Long Queries", "red" if long else "green", _told(long)),
        Finding("Idle in Transaction", "red" if idle else "green", _told(idle)),
        Finding("Blocking Queries", "red" if blocked else "green", _told(blocked)),
        Finding(
            "Hit Rate",
            "yellow" if hits is not None and hits < 0.9 else "green",
            ({"rate": f"{hits:.1%}" if hits is not None else "unknown"},),
        ),
        Finding(
            "Indexes",
            "yellow" if unused else "green",
            tuple({"table": table, "index": index, "size": size} for table, index, size in unused),
        ),
    ]


def _told(found: list[Session]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"pid": each.pid, "seconds": round(each.seconds), "query": each.query[:200]} for each in found[:10]
    )
