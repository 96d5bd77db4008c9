"""Databases and roles on a PostgreSQL server that an administrator's URL leads to.

A database has an owner that nobody signs in as; who signs in is a member of it and acts as the owner from the first
statement on, so that a new password, or a new user, finds everything its own. Every call may come twice.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from core.errors import EngineError

CONNECT_SECONDS = 5
_PASSWORD_IN_URL = re.compile(r"//([^:/@\s]*):[^@\s]*@")


@dataclass(frozen=True)
class Names:
    """What things are called that belong to the order `id`: 32 hexadecimal digits."""

    id: str

    @property
    def database(self) -> str:
        """The database."""
        return f"d{self.id}"

    @property
    def owner(self) -> str:
        """Who owns all in it."""
        return f"o{self.id}"

    def user(self, credential: str = "") -> str:
        """Who signs in: by default, or with a named credential."""
        return f"u{self.id}" + (f"_{credential}" if credential else "")


@dataclass(frozen=True)
class Session:
    """Somebody who is in the database."""

    pid: int
    user: str
    program: str
    state: str
    since: datetime | None  # when the statement began
    seconds: float
    query: str
    blocked_by: tuple[int, ...] = ()


class Databases:
    """What is done on the server. `EngineError` when it can't be, with the server's words and no password."""

    def __init__(self, admin_url: str) -> None:
        self._url = admin_url

    def check(self) -> None:
        """That the server can be reached and its administrator may do what is needed here."""
        with self._admin() as admin:
            row = admin.execute(
                "SELECT rolsuper OR (rolcreaterole AND rolcreatedb) FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
        if not (row and row[0]):
            raise EngineError(
                f"{urlsplit(self._url).username} at {place(self._url)} may not make databases and roles: "
                "ALTER ROLE … CREATEDB CREATEROLE.",
                permanent=True,
            )

    def version(self) -> int:
        """The server's major version, such as 15."""
        with self._admin() as admin:
            return admin.info.server_version // 10_000

    def make(self, names: Names, password: str, *, connections: int, note: str = "") -> str:
        """Have a database of its own that nobody else may enter; returns the URL for its default user."""
        with self._admin() as admin:
            self._have_role(admin, names.owner, None)
            admin.execute(_sql("GRANT {} TO CURRENT_USER", names.owner))
            if not _one(admin, "SELECT 1 FROM pg_database WHERE datname = %s", names.database):
                admin.execute(
                    _sql(
                        "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'",
                        names.database,
                        names.owner,
                    )
                )
            admin.execute(_sql("REVOKE ALL ON DATABASE {} FROM PUBLIC", names.database))
            admin.execute(
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(
                    sql.Identifier(names.database), sql.Literal(note)
                )
            )
            self._limit(admin, names, connections)
            self._have_user(admin, names, "", password)
        return self.url(names, "", password)

    def limit(self, names: Names, connections: int) -> None:
        """Allow so many connections at a time."""
        with self._admin() as admin:
            self._limit(admin, names, connections)

    def user(self, names: Names, credential: str, password: str) -> str:
        """Have who signs in with a named credential; returns the URL. It may enter and no more, until the default user
        grants it something; "" is the default user, who acts as the owner."""
        with self._admin() as admin:
            self._have_user(admin, names, credential, password)
        return self.url(names, credential, password)

    def drop_user(self, names: Names, credential: str) -> None:
        """Take a named credential away; what it owns goes to the owner."""
        user = names.user(credential)
        with self._admin() as admin:
            if not _one(admin, "SELECT 1 FROM pg_roles WHERE rolname = %s", user):
                return
            admin.execute(_sql("ALTER ROLE {} NOLOGIN", user))
            self._end_sessions(admin, names.database, user)
        with self._admin(names.database) as inside:
            inside.execute(_sql("REASSIGN OWNED BY {} TO {}", user, names.owner))
            inside.execute(_sql("DROP OWNED BY {}", user))
            inside.execute(_sql("DROP ROLE {}", user))

    def drop(self, names: Names) -> None:
        """Take the database away with all who could enter it."""
        with self._admin() as admin:
            rows = admin.execute(
                "SELECT datname FROM pg_database WHERE datname ~ %s", [f"^{names.database}(_[a-z]+)?$"]
            ).fetchall()
            for (database,) in rows:
                self._drop_database(admin, database)
            for role in [*self._users(admin, names), names.owner]:
                admin.execute(_sql("DROP ROLE IF EXISTS {}", role))

    def users(self, names: Names) -> list[str]:
        """The credentials there are, "" for the default one."""
        with self._admin() as admin:
            return [user.removeprefix(names.user()).removeprefix("_") for user in self._users(admin, names)]

    def has(self, names: Names) -> bool:
        """Whether the database exists."""
        with self._admin() as admin:
            return _one(admin, "SELECT 1 FROM pg_database WHERE datname = %s", names.database)

    def noted(self) -> dict[str, str]:
        """The ids of all databases that `make` made on this server, with their notes."""
        with self._admin() as admin:
            rows = admin.execute(
                "SELECT datname, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database "
                "WHERE datname ~ '^d[0-9a-f]{32}$'"
            ).fetchall()
        return {name[1:]: note for name, note in rows}

    # --- another content for it ---------------------------------------------------------------------------------------

    def fresh(self, names: Names, suffix: str) -> None:
        """Have an empty database beside the real one, for the same users: `d<id>_<suffix>`."""
        aside = f"{names.database}_{suffix}"
        with self._admin() as admin:
            self._drop_database(admin, aside)
            admin.execute(
                _sql("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'", aside, names.owner)
            )
            admin.execute(_sql("REVOKE ALL ON DATABASE {} FROM PUBLIC", aside))
            for user in self._users(admin, names):
                admin.execute(_sql("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}", aside, user))

    def swap(self, names: Names, suffix: str, *, connections: int, note: str = "") -> None:
        """Have what `fresh` made take the real one's place, at once and for good; who is in there is hung up on."""
        aside, former = f"{names.database}_{suffix}", f"{names.database}_former"
        with self._admin() as admin:
            if _one(admin, "SELECT 1 FROM pg_database WHERE datname = %s", aside):
                self._drop_database(admin, former)
                if _one(admin, "SELECT 1 FROM pg_database WHERE datname = %s", names.database):
                    admin.execute(_sql("ALTER DATABASE {} ALLOW_CONNECTIONS false", names.database))
                for database in (names.database, aside):
                    self._end_sessions(admin, database, None)
                with admin.transaction():
                    if _one(admin, "SELECT 1 FROM pg_database WHERE datname = %s", names.database):
                        admin.execute(_sql("ALTER DATABASE {} RENAME TO {}", names.database, former))
                    admin.execute(_sql("ALTER DATABASE {} RENAME TO {}", aside, names.database))
                self._limit(admin, names, connections)
                self._note(admin, names, note)
            self._drop_database(admin, former)

    def forget(self, names: Names, suffix: str) -> None:
        """Drop what `fresh` made. No error when it is gone."""
        with self._admin() as admin:
            self._drop_database(admin, f"{names.database}_{suffix}")

    def trusted_extensions(self) -> set[str]:
        """The extensions that users may have in their databases."""
        with self._admin() as admin:
            return {
                name
                for (name,) in admin.execute(
                    "SELECT DISTINCT name FROM pg_available_extension_versions WHERE trusted"
                ).fetchall()
            }

    # --- who is in it ------------------------------------------------------------------------------------------------

    def sessions(self, names: Names) -> list[Session]:
        """Who is in the database, ourselves apart: the longest statement first, 100 at most. Asked from outside, since
        inside the database's owner says what functions mean."""
        with self._admin() as admin:
            rows = admin.execute(
                "SELECT pid, usename, application_name, coalesce(state, ''), query_start, "
                "coalesce(extract(epoch FROM now() - query_start), 0)::float, left(query, 500), pg_blocking_pids(pid) "
                "FROM pg_stat_activity WHERE datname = %s AND application_name <> 'slipway' "
                "ORDER BY state = 'active' DESC, query_start LIMIT 100",
                [names.database],
            ).fetchall()
        return [
            Session(pid, user, program, state, since, seconds, query, tuple(blockers))
            for pid, user, program, state, since, seconds, query, blockers in rows
        ]

    def end_sessions(self, names: Names, *, pid: int | None = None) -> int:
        """Hang up on all who are in the database, ourselves apart, or on one; returns on how many."""
        with self._admin() as admin:
            rows = admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = %s AND application_name <> 'slipway' AND pid = coalesce(%s, pid)",
                [names.database, pid],
            ).fetchall()
        return len(rows)

    def url(self, names: Names, credential: str, password: str) -> str:
        """How an app gets in."""
        parts = urlsplit(self._url)
        query = f"?{parts.query}" if parts.query else ""
        where = f"{parts.hostname}:{parts.port or 5432}"
        return (
            f"postgres://{names.user(credential)}:{quote(password, safe='')}@{where}/{names.database}{query}"
        )

    # --- inside -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _admin(self, database: str = "") -> Iterator["psycopg.Connection[Any]"]:
        with connection(self._url, database=database) as admin:
            yield admin

    def _have_role(self, admin: "psycopg.Connection[Any]", role: str, password: str | None) -> None:
        if not _one(admin, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
            with contextlib.suppress(psycopg.errors.DuplicateObject):
                admin.execute(_sql("CREATE ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION", role))
        if password is not None:
            # Never as it is: statements can be seen in the server's views and logs.
            verifier = admin.pgconn.encrypt_password(
                password.encode(), role.encode(), b"scram-sha-256"
            ).decode()
            admin.execute(
                sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier))
            )

    def _have_user(
        self, admin: "psycopg.Connection[Any]", names: Names, credential: str, password: str
    ) -> None:
        user = names.user(credential)
        self._have_role(admin, user, password)
        admin.execute(_sql("GRANT {} TO CURRENT_USER", user))
        admin.execute(_sql("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}", names.database, user))
        if not credential:
            admin.execute(_sql("GRANT {} TO {}", names.owner, user))
            admin.execute(
                sql.SQL("ALTER ROLE {} SET role TO {}").format(sql.Identifier(user), sql.Literal(names.owner))
            )
        self._tell_extensions(admin, user)

    def _tell_extensions(self, admin: "psycopg.Connection[Any]", user: str) -> None:
        """Have the user's sessions know the extensions that it may create, under the two names by which `heroku
        pg:extensions` asks for them. Only a superuser may set what PostgreSQL does not know."""
        if not _one(admin, "SELECT 1 FROM pg_roles WHERE rolname = current_user AND rolsuper = %s", "true"):
            return
        allowed = ",".join(sorted(self.trusted_extensions()))
        for name in (("rds", "allowed_extensions"), ("extwlist", "extensions")):
            admin.execute(
                sql.SQL("ALTER ROLE {} SET {} TO {}").format(
                    sql.Identifier(user), sql.Identifier(*name), sql.Literal(allowed)
                )
            )

    def _limit(self, admin: "psycopg.Connection[Any]", names: Names, connections: int) -> None:
        admin.execute(
            sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(
                sql.Identifier(names.database), sql.Literal(connections)
            )
        )

    def _users(self, admin: "psycopg.Connection[Any]", names: Names) -> list[str]:
        like = f"^{names.user()}(_.*)?$"
        return [
            row[0]
            for row in admin.execute(
                "SELECT rolname FROM pg_roles WHERE rolname ~ %s ORDER BY 1", [like]
            ).fetchall()
        ]

    def _note(self, admin: "psycopg.Connection[Any]", names: Names, note: str) -> None:
        admin.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(names.database), sql.Literal(note))
        )

    def _drop_database(self, admin: "psycopg.Connection[Any]", database: str) -> None:
        if _one(admin, "SELECT 1 FROM pg_database WHERE datname = %s", database):
            admin.execute(_sql("ALTER DATABASE {} ALLOW_CONNECTIONS false", database))
            admin.execute(_sql("DROP DATABASE {} WITH (FORCE)", database))

    def _end_sessions(self, admin: "psycopg.Connection[Any]", database: str, user: str | None) -> None:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = %s AND pid <> pg_backend_pid() AND usename = coalesce(%s, usename)",
            [database, user],
        )


@contextlib.contextmanager
def connection(
    url: str, *, database: str = "", seconds: float = CONNECT_SECONDS
) -> Iterator["psycopg.Connection[Any]"]:
    """A connection whose statements take effect one by one. Every trouble with it is an `EngineError`: permanent when
    the server turned us down, to be tried again when it could not be reached."""
    extra: Mapping[str, Any] = {"dbname": database} if database else {}
    try:
        with psycopg.connect(
            url, autocommit=True, connect_timeout=int(seconds), application_name="slipway", **extra
        ) as opened:
            yield opened
    except psycopg.OperationalError as error:
        refused = bool(re.search(r"authentication failed|does not exist|no pg_hba", str(error)))
        raise EngineError(f"PostgreSQL at {place(url)}: {tell(error)}", permanent=refused) from None
    except psycopg.Error as error:
        raise EngineError(f"PostgreSQL at {place(url)}: {tell(error)}", permanent=True) from None


def place(url: str) -> str:
    """Where a URL leads to, without who comes there."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5432}"


def tell(error: Exception) -> str:
    """What went wrong, in a line and without a password."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return _PASSWORD_IN_URL.sub(r"//\1:…@", lines[0])[:300]


def _one(admin: "psycopg.Connection[Any]", query: LiteralString, name: str) -> bool:
    return admin.execute(query, [name]).fetchone() is not None


def _sql(text: LiteralString, *names: str) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Identifier, names))
