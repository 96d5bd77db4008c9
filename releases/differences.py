"""Which files differ between two commits, and which of them look like migrations of a database."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from releases.commits import clean
from releases.repositories import SHA, GitFailed, git, path

SHOWN = 20  # files and migrations that are told by name
SECONDS = 5  # for git to look; a change that takes longer to count is not told
_BIG = "core.bigFileThreshold=1m"  # larger files are compared as a whole

# Where frameworks keep them, below any folder: the name is what they call one.
_MIGRATIONS = (
    ("Rails", re.compile(r"(^|/)db/migrate/\d+_\w+\.rb")),
    ("Alembic", re.compile(r"(^|/)\w*(alembic|migrations)/versions/\w+\.py")),
    ("Django", re.compile(r"(^|/)migrations/(?!__init__)\w+\.py")),
    ("Prisma", re.compile(r"(^|/)prisma/migrations/[^/]+/migration\.sql")),
    ("Flyway", re.compile(r"(^|/)(db/migration|migrations?|sql)/(.*/)?[VUR][\d_.]*__\w+\.(sql|java)")),
    ("Laravel", re.compile(r"(^|/)database/migrations/\w+\.php")),
    ("Doctrine", re.compile(r"(^|/)migrations/(.*/)?Version\d+\.php")),
    ("Ecto", re.compile(r"(^|/)priv/\w+/migrations/\d+_\w+\.exs")),
    ("Drizzle", re.compile(r"(^|/)drizzle/\d+_\w+\.sql")),
    ("Knex", re.compile(r"(^|/)migrations/\d+[-_]?[\w-]*\.[cm]?[jt]s")),
    ("SQL", re.compile(r"(^|/)migrations?/\d+[-_][\w.-]*\.sql")),
)
_WHAT = {"A": "added", "D": "removed"}


@dataclass(frozen=True)
class File:
    """One file that differs: lines added and removed, or None where it is not text."""

    path: str
    what: str  # added, removed, changed
    added: int | None
    removed: int | None


@dataclass(frozen=True)
class Migration:
    """A file that looks like a migration, by whose it looks like."""

    path: str
    framework: str
    what: str

    @property
    def name(self) -> str:
        """What its framework calls it: the file, or its folder where all files are named alike."""
        *folders, name = self.path.split("/")
        return folders[-1] if name == "migration.sql" and folders else name


@dataclass(frozen=True)
class Files:
    """All files that differ between two commits."""

    count: int
    added: int  # lines, in all of them
    removed: int
    shown: tuple[File, ...]  # the first of them, by name
    migrations: tuple[Migration, ...]  # the first of them, by name
    migration_count: int

    @property
    def more(self) -> int:
        """How many are not told by name."""
        return self.count - len(self.shown)

    @property
    def more_migrations(self) -> int:
        """How many migrations are not told by name."""
        return self.migration_count - len(self.migrations)


def files_between(app_id: uuid.UUID, base: str, head: str) -> Files | None:
    """What `head` changes against `base`; None when the app's repository lacks one of them, or git would need too long.
    Kept for good, since both are immutable."""
    if not SHA.fullmatch(base) or not SHA.fullmatch(head):
        return None
    try:
        return _between(app_id, base, head)
    except GitFailed:
        return None


def migration_in(name: str, what: str = "added") -> Migration | None:
    """The migration that a file of this name looks like."""
    framework = next((framework for framework, found in _MIGRATIONS if found.search(name)), "")
    return Migration(_shown(name), framework, what) if framework else None


@lru_cache(maxsize=1000)
def _between(app_id: uuid.UUID, base: str, head: str) -> Files:
    options = ["--raw", "--numstat", "-z", "--no-renames", "--no-abbrev", "--no-ext-diff", "--no-textconv"]
    told = git(
        path(app_id), "-c", _BIG, "diff", *options, "--end-of-options", base, head, "--", seconds=SECONDS
    )
    found = sorted(_read(told.decode("utf-8", "replace").split("\0")), key=lambda file: file.path)
    migrations = [one for file in found if (one := migration_in(file.path, file.what))]
    return Files(
        count=len(found),
        added=sum(file.added or 0 for file in found),
        removed=sum(file.removed or 0 for file in found),
        shown=tuple(File(_shown(f.path), f.what, f.added, f.removed) for f in found[:SHOWN]),
        migrations=tuple(migrations[:SHOWN]),
        migration_count=len(migrations),
    )


def _read(parts: list[str]) -> Iterator[File]:
    """First each file with its letter, `:… M` and the name; then each with its lines, `3<tab>1<tab>name`."""
    letters: dict[str, str] = {}
    at = 0
    while at + 1 < len(parts) and parts[at].startswith(":"):
        letters[parts[at + 1]] = parts[at].rpartition(" ")[2][:1]
        at += 2
    for line in parts[at:]:
        added, tab, rest = line.partition("\t")
        removed, _, name = rest.partition("\t")
        if tab:
            yield File(name, _WHAT.get(letters.get(name, ""), "changed"), _number(added), _number(removed))


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _shown(name: str) -> str:
    return clean(name)[:300]
