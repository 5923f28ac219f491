"""Whose objects an installation uses: what bears our names must belong to the current role or to a superuser.

A role that made a schema, function, table or server of our names before would keep it, and what it does
to the roles that use it: CREATE OR REPLACE changes no owner, and a server's owner decides where its requests
go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import psycopg

from stripe_fdw import sqlstates
from stripe_fdw.database.errors import InstallError

_SHOWN: Final = 5  # objects in an error

# Catalogs of objects that lie in a schema, with their columns of schema and owner. Indexes, row types and
# array types belong to whom their table or type belongs.
_IN_SCHEMAS: Final[Sequence[tuple[str, str, str, str]]] = (
    ("pg_class", "relnamespace", "relowner", "relkind not in ('i', 'I')"),
    ("pg_proc", "pronamespace", "proowner", "true"),
    ("pg_type", "typnamespace", "typowner", "typtype <> 'c' and typcategory <> 'A'"),
    ("pg_operator", "oprnamespace", "oprowner", "true"),
    ("pg_opclass", "opcnamespace", "opcowner", "true"),
    ("pg_opfamily", "opfnamespace", "opfowner", "true"),
    ("pg_collation", "collnamespace", "collowner", "true"),
    ("pg_conversion", "connamespace", "conowner", "true"),
    ("pg_ts_config", "cfgnamespace", "cfgowner", "true"),
    ("pg_ts_dict", "dictnamespace", "dictowner", "true"),
    ("pg_statistic_ext", "stxnamespace", "stxowner", "true"),
)
_NAMED_OBJECTS: Final = """
    select 'pg_namespace'::regclass as classid, oid as objid, nspowner as owner
      from pg_namespace where nspname = any (%(schemas)s)
    union all
    select 'pg_foreign_server'::regclass, oid, srvowner from pg_foreign_server where srvname = %(server)s
    union all
    select 'pg_foreign_data_wrapper'::regclass, oid, fdwowner
      from pg_foreign_data_wrapper where fdwname = %(wrapper)s
    union all
    select 'pg_extension'::regclass, oid, extowner from pg_extension where extname = %(wrapper)s
    union all
    select 'pg_proc'::regclass, p.oid, proowner
      from pg_proc p join pg_foreign_data_wrapper on p.oid in (fdwhandler, fdwvalidator)
     where fdwname = %(wrapper)s
    union all
    select 'pg_trigger'::regclass, t.oid, proowner
      from pg_trigger t
      join pg_class c on c.oid = tgrelid
      join pg_namespace n on n.oid = relnamespace
      join pg_proc p on p.oid = tgfoid
     where nspname = any (%(schemas)s) and not tgisinternal and (relkind <> 'f' or relname = '_view_write')
"""
_OBJECTS_IN_SCHEMAS: Final = "".join(
    f"""
    union all
    select '{catalog}'::regclass, o.oid, {owner}
      from {catalog} o join pg_namespace n on n.oid = {schema}
     where nspname = any (%(schemas)s) and {condition}
"""  # noqa: S608 - of the constants above
    for catalog, schema, owner, condition in _IN_SCHEMAS
)
_TRUSTED: Final = "(rolname = current_user or rolsuper)"
_OTHERS_OBJECTS: Final = f"""
    select pg_describe_object(classid, objid, 0), rolname
      from ({_NAMED_OBJECTS} {_OBJECTS_IN_SCHEMAS}) object join pg_roles on pg_roles.oid = owner
     where not {_TRUSTED}
     order by classid = 'pg_namespace'::regclass desc, 1
"""  # noqa: S608 - of the constants above
_OTHERS_PRIVILEGES: Final = f"""
    select nspname, coalesce(rolname, 'public')
      from pg_namespace
     cross join aclexplode(nspacl) as granted
      left join pg_roles on pg_roles.oid = grantee
     where nspname = any (%(schemas)s) and privilege_type = 'CREATE' and ({_TRUSTED}) is not true
     order by 1, 2
"""  # noqa: S608 - of the constants above
_UNSAFE_FOR_SUPERUSER: Final = f"""
    select coalesce(
        (select concat(object, ' belongs to role ', owner)
           from ({_OTHERS_OBJECTS}) others (object, owner) limit 1),
        (select concat('role ', grantee, ' may create objects in schema ', schema)
           from ({_OTHERS_PRIVILEGES}) others (schema, grantee) limit 1))
      from pg_roles where rolname = current_user and rolsuper
"""  # noqa: S608 - of the constants above
_ROLE_OF_SESSIONS: Final = """
    select substr(setting, length('role=') + 1)
      from pg_db_role_setting
      join pg_database on pg_database.oid = setdatabase
     cross join unnest(setconfig) as setting
     where datname = current_database() and setrole = 0 and starts_with(setting, 'role=')
       and current_user <> session_user
"""


def refuse_objects_of_others(
    connection: psycopg.Connection,
    schemas: Sequence[str],
    *,
    server: str | None = None,
    wrapper: str | None = None,
) -> None:
    """Check the schemas with all that lies in them, the server, and the wrapper with its extension.

    Raises:
        InstallError: one of them belongs neither to the current role nor to a superuser, or another role may
            create objects in one of the schemas; or the current role is one that the database's owner chose.

    """
    role = connection.execute(_ROLE_OF_SESSIONS.encode()).fetchone()
    if role is not None:
        raise InstallError(
            f"a setting of the database gives its sessions the role {role[0]}, who would own what is made",
            hint="ALTER DATABASE ... RESET role; and connect as the role that is to own it.",
            sqlstate=sqlstates.INSUFFICIENT_PRIVILEGE,
        )
    names = {"schemas": list(schemas), "server": server, "wrapper": wrapper}
    objects = connection.execute(_OTHERS_OBJECTS.encode(), names).fetchall()
    if objects:
        described = [f"{name} belongs to role {owner}" for name, owner in objects]
        raise InstallError(
            f"{described[0]}, who is neither the current role nor a superuser",
            detail=_listing(described[1:]),
            hint="Its owner could change what it does. DROP it; or, if you know what is in it and trust it,"
            " give it to the current role: ALTER ... OWNER TO CURRENT_USER.",
            sqlstate=sqlstates.INSUFFICIENT_PRIVILEGE,
        )
    privileges = connection.execute(_OTHERS_PRIVILEGES.encode(), names).fetchall()
    if privileges:
        described = [f"role {role} may create objects in schema {schema}" for schema, role in privileges]
        raise InstallError(
            described[0],
            detail=_listing(described[1:]),
            hint="Its functions could be called in the place of ours. REVOKE CREATE ON SCHEMA ... FROM ...,"
            " and create views and functions of your own in another schema.",
            sqlstate=sqlstates.INSUFFICIENT_PRIVILEGE,
        )


def refuse_to_superuser(connection: psycopg.Connection, schemas: Sequence[str]) -> None:
    """Raise InstallError, as ``refuse_objects_of_others`` does, if the current role is a superuser.

    Reading and writing what another role has made can call that role's functions, with a superuser's rights.
    """
    role = connection.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
    if role is None or not role[0]:
        return
    try:
        refuse_objects_of_others(connection, schemas)
    except InstallError as error:
        if error.message.startswith("schema "):  # it was another role that has installed
            error.hint = "Its functions would have a superuser's rights. Connect as its owner."
        raise


async def unsafe_for_superuser(connection: psycopg.AsyncConnection, schema: str) -> str | None:
    """Return why the current role, a superuser, must not use a schema, as ``refuse_to_superuser`` finds it.

    None if it may, or is no superuser.
    """
    names = {"schemas": [schema], "server": None, "wrapper": None}
    row = await (await connection.execute(_UNSAFE_FOR_SUPERUSER.encode(), names)).fetchone()
    return None if row is None else row[0]


def _listing(others: list[str]) -> str | None:
    if not others:
        return None
    more = f", and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return f"{'; '.join(others[:_SHOWN])}{more}."
