"""What is checked: a server of a database, seen by a session of one role."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cached_property

import psycopg
from psycopg import sql

from stripe_fdw.api.api_base import STRIPE
from stripe_fdw.database.errors import InstallError, Report
from stripe_fdw.database.installed_parts import schemas_of_copies
from stripe_fdw.database.key_check import CheckedKey, RefusedKeyError, check_key, has_key
from stripe_fdw.database.ownership import refuse_to_superuser
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.fdw.schema.import_schema import CHECK_TABLE


@dataclass(frozen=True, slots=True)
class ForeignServer:
    """A foreign server as the catalog has it."""

    wrapper: str  # stripe_fdw or multicorn
    owner: str
    api_base: str

    @property
    def host(self) -> str:
        """The host's name as ``init --host`` takes it."""
        return "multicorn2" if self.wrapper == "multicorn" else "bundled"


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What a session of the database server runs on, as the table behind this command says."""

    version: str  # of the package
    python: str  # the prefix of its environment
    shared_directory: str | None
    shared_error: str | None


@dataclass
class Subject:
    """A server and its schemas, and what several checks need to know of it, asked once.

    ``known_key`` is what Stripe has answered already; ``asks_stripe`` allows requests beyond that.
    """

    connection: psycopg.Connection
    schemas: Schemas
    known_key: CheckedKey | None = None
    asks_stripe: bool = True

    @cached_property
    def role(self) -> str:
        """The role of the session."""
        return str(self.value("select current_user"))

    @cached_property
    def foreign_server(self) -> ForeignServer | None:
        """The foreign server; None where only copies are installed."""
        row = self.connection.execute(
            "select fdwname, pg_get_userbyid(srvowner), coalesce(srvoptions, '{}') from pg_foreign_server"
            " join pg_foreign_data_wrapper w on w.oid = srvfdw where srvname = %s",
            (self.schemas.server,),
        ).fetchone()
        if row is None:
            return None
        options = dict(item.split("=", 1) for item in row[2])
        return ForeignServer(row[0], row[1], options.get("api_base", STRIPE))

    @cached_property
    def has_copies(self) -> bool:
        """True if the server has local copies."""
        # to_regclass would refuse a role without USAGE on the schema.
        query = (
            "select to_regnamespace(quote_ident(%s)) is not null and exists (select from pg_class"
            " where relnamespace = to_regnamespace('stripe_sync') and relname = 'run')"
        )
        return self.value(query, self.schemas.copies) is True

    def untrusted(self, *, copies: bool) -> InstallError | None:
        """Return why a superuser reads no foreign table, or no copies: something is another role's.

        Functions of its views would have a superuser's rights. None if there is no reason. Ask before each
        check, since another role may make something in the meantime.
        """
        schemas = [self.schemas.live]
        if copies:  # with the state of all servers, and the queue
            schemas += schemas_of_copies([self.schemas])
            schemas += [self.schemas.views] if self.has_copies else []
        try:
            refuse_to_superuser(self.connection, schemas)
        except InstallError as error:
            return error
        return None

    @cached_property
    def has_mapping(self) -> bool:
        """True if the role, or PUBLIC, has a user mapping on the server."""
        return has_key(self.connection, self.schemas.server)

    @cached_property
    def may_make_mapping(self) -> bool:
        """True if the role may make a user mapping of its own."""
        query = (
            "select has_server_privilege(oid, 'usage') or pg_has_role(srvowner, 'usage')"
            " from pg_foreign_server where srvname = %s"
        )
        return self.value(query, self.schemas.server) is True

    @cached_property
    def unreadable(self) -> str | None:
        """Why the role cannot read the table behind this command; None if it can."""
        return self.why_not_readable(CHECK_TABLE)

    @cached_property
    def session(self) -> SessionFacts | Report:
        """What a session runs on, or why it does not answer. The table is readable."""
        query = sql.SQL("select version, python, shared_directory, shared_error from {}").format(
            sql.Identifier(self.schemas.live, CHECK_TABLE)
        )
        try:
            with self.connection.transaction():
                row = self.connection.execute(query).fetchone()
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
            raise
        except psycopg.Error as error:
            if self.connection.closed:
                raise
            return Report.of(error)
        return SessionFacts(*row) if row else Report("it gives no row")

    @cached_property
    def key(self) -> CheckedKey | RefusedKeyError:
        """What Stripe answers to the key, or why there is none that is right: one request."""
        if self.known_key is not None:
            return self.known_key
        try:
            return check_key(self.connection, self.schemas)
        except RefusedKeyError as error:
            return error

    @cached_property
    def why_no_request(self) -> str | None:
        """Why a request through the server would fail, as far as other checks have shown; else None."""
        if not self.has_mapping:
            return "there is no user mapping"
        if self.unreadable is not None:
            return None
        if isinstance(self.session, Report):
            return "the extension does not answer"
        return "Stripe cannot be read with the key" if isinstance(self.key, RefusedKeyError) else None

    def why_not_readable(self, table: str) -> str | None:
        """Return why the role cannot read a foreign table of the server; None if it can."""
        name = f"{self.quoted(self.schemas.live)}.{self.quoted(table)}"
        if self.value("select to_regnamespace(quote_ident(%s))", self.schemas.live) is None:
            return f"there is no schema {self.schemas.live}"
        if self.value("select has_schema_privilege(%s, 'usage')", self.schemas.live) is not True:
            return f"role {self.role} has no USAGE on schema {self.schemas.live}"
        if self.value("select to_regclass(%s)", name) is None:
            return f"there is no foreign table {name}"
        if self.value("select has_table_privilege(%s, 'select')", name) is not True:
            return f"role {self.role} may not read {name}"
        return None

    def grant(self, table: str) -> str:
        """Return the statements with which the role can read a foreign table."""
        schema, name, role = map(self.quoted, (self.schemas.live, table, self.role))
        return f"grant usage on schema {schema} to {role}; grant select on {schema}.{name} to {role};"

    def init(self, *arguments: str) -> str:
        """Return the command that brings the server up to date."""
        server = self.foreign_server
        given = [f"stripe-fdw init{self.schemas.option}"]
        if server is not None and server.host != "bundled":
            given.append(f"--host {server.host}")
        if server is not None and server.api_base != STRIPE:
            given.append(f"--option {shlex.quote(f'api_base={server.api_base}')}")
        return " ".join([*given, *arguments])

    def quoted(self, name: str) -> str:
        """Return a name as an identifier of SQL, in quotes only where it needs them."""
        return str(self.value("select quote_ident(%s)", name))

    def value(self, query: str, *parameters: object) -> object:
        """Return the first column of the query's first row, or None if there is no row."""
        return single_value(self.connection, query, *parameters)
