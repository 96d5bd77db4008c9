"""Backup, restore and copy of a large database: how long they take beside `pg_dump -Fc | pg_restore` by hand, and how much
the platform's process grows meanwhile: nothing of a dump may go through its memory.

    python bench/restore.py [--megabytes 1024]

A platform of its own with three databases in its own PostgreSQL, one filled with rows of random text until it is that
large. By hand, into the third, as whoever owns it could do it from their own machine. What arrives is counted and
checksummed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.servers import programs
from tests.platform.harness import Platform

GROWTH_TARGET = 64  # MB that the platform's process may grow by, whatever the size of the database
TIMES_TARGET = 2.0  # times by hand, for a copy
ROWS = 100_000  # filled in at a time
PLAN = "heroku-postgresql:standard-0"
CHECK = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM t"
PIECE = 1024 * 1024


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=1024)
    megabytes = options.parse_args().megabytes
    found = programs.postgres() or sys.exit("No PostgreSQL is installed.")
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        Path(folder).chmod(0o755)
        platform = Platform(Path(folder) / "data").start()
        try:
            platform.sign_up()
            platform.api("POST", "/apps", {"name": "bench"})
            return measure(platform, found, megabytes)
        finally:
            platform.stop()


def measure(platform: Platform, found: programs.Postgres, megabytes: int) -> int:
    """Everything in turns, and what came of it."""
    first, second, third = (order(platform, name) for name in ("FIRST", "SECOND", "THIRD"))
    size, rows = fill(first, megabytes)
    print(
        f"PostgreSQL {found.major}, a database of {size / 1e6:,.0f} MB, {rows:,} rows, load {os.getloadavg()[0]:.1f}"
    )
    hand = by_hand(found, first, third)
    print(f"  pg_dump -Fc | pg_restore by hand           {hand:7.1f} s")
    before = memory(platform, afresh=True)
    backup, capture = transfer(platform, "FIRST", "backups", {})
    written = backup["processed_bytes"] / 1e6
    print(f"  backup, read back as a proof               {capture:7.1f} s   {written:,.0f} MB")
    _, restore = transfer(platform, "SECOND", "restores", {"backup_url": backup["to_url"]})
    print(f"  restore of it into another database        {restore:7.1f} s   {restore / hand:.2f}x")
    _, copy = transfer(platform, "THIRD", "transfers", {"from_url": first, "to_url": third})
    print(
        f"  copy into a third                          {copy:7.1f} s   {copy / hand:.2f}x, at most {TIMES_TARGET}x"
    )
    print(f"  download of the backup                     {download(platform, backup):7.1f} s")
    growth = memory(platform) - before
    print(f"  the platform's process grew by             {growth:7.0f} MB  at most {GROWTH_TARGET} MB")
    same = len({checksum(url) for url in (first, second, third)}) == 1
    print(f"  rows and checksums                         {'the same' if same else 'DIFFERENT'}")
    return 0 if same and growth < GROWTH_TARGET and copy < TIMES_TARGET * hand else 1


def order(platform: Platform, name: str) -> str:
    """A database; its address."""
    platform.api(
        "POST",
        "/apps/bench/addons",
        {"plan": PLAN, "name": f"db-{name.lower()}", "attachment": {"name": name}},
    )
    key = f"{name}_URL"
    while key not in (found := platform.api("GET", "/apps/bench/config-vars")):
        time.sleep(0.1)
    return str(found[key])


def fill(url: str, megabytes: int) -> tuple[int, int]:
    """Rows of text until the database is that large, indexed; returns bytes and rows."""
    with psycopg.connect(url, autocommit=True) as inside:
        inside.execute("CREATE TABLE t (id bigint, name text, body text)")
        size = rows = 0
        while size < megabytes * 1024**2:
            inside.execute(
                "INSERT INTO t SELECT g, md5(g::text), md5(random()::text) || md5(random()::text) "
                "FROM generate_series(%s::bigint, %s::bigint) g",
                (rows + 1, rows + ROWS),
            )
            rows += ROWS
            size = inside.execute("SELECT pg_database_size(current_database())").fetchone()[0]  # type: ignore[index]
        inside.execute("ALTER TABLE t ADD PRIMARY KEY (id)")
        inside.execute("CREATE INDEX ON t (name)")
        size = inside.execute("SELECT pg_database_size(current_database())").fetchone()[0]  # type: ignore[index]
    return size, rows


def by_hand(found: programs.Postgres, source: str, target: str) -> float:
    """What anybody would type, with both programs at work at once; the target is emptied again."""
    began = time.perf_counter()
    dump = [found.program("pg_dump"), "-Fc", source]
    load = [found.program("pg_restore"), "--no-owner", "--no-acl", "-d", target]
    with subprocess.Popen(dump, stdout=subprocess.PIPE) as writing:
        subprocess.run(load, stdin=writing.stdout, check=True)
    with psycopg.connect(target, autocommit=True) as inside:
        inside.execute("ANALYZE")
        took = time.perf_counter() - began
        inside.execute("DROP TABLE t")
    return took


def transfer(platform: Platform, name: str, what: str, body: dict[str, str]) -> tuple[Any, float]:
    """Have something moved; returns it as it ended, and the seconds from the request on."""
    began = time.perf_counter()
    asked = platform.api("POST", f"/client/v11/databases/db-{name.lower()}/{what}", body)
    path = f"/client/v11/apps/bench/transfers/{asked['uuid']}"
    while (row := platform.api("GET", path))["finished_at"] is None:
        time.sleep(0.1)
    assert row["succeeded"], row["logs"]
    return row, time.perf_counter() - began


def download(platform: Platform, backup: Any) -> float:
    """Fetch it by its public address, as it comes."""
    asked = platform.api("POST", f"/client/v11/apps/bench/transfers/{backup['uuid']}/actions/public-url")
    began, size = time.perf_counter(), 0
    with urllib.request.urlopen(asked["url"].replace("https:", "http:", 1)) as answer:
        while piece := answer.read(PIECE):
            size += len(piece)
    assert size == backup["processed_bytes"], size
    return time.perf_counter() - began


def checksum(url: str) -> tuple[Any, ...]:
    """How many rows there are, and a sum over all of them."""
    with psycopg.connect(url) as inside:
        return tuple(inside.execute(CHECK).fetchone() or ())


def memory(platform: Platform, *, afresh: bool = False) -> float:
    """The most that the platform's process had in memory so far, in MB; from now on, if `afresh`."""
    assert platform.process is not None
    place = Path(f"/proc/{platform.process.pid}")
    if afresh:
        (place / "clear_refs").write_text("5")
    peak = next(line for line in (place / "status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
