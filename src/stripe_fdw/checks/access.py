"""Who may use a server: user mapping and privileges of the role, and other roles without a mapping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stripe_fdw.checks.finding import Finding, listing, ok, problem, warning
from stripe_fdw.checks.subject import Subject
from stripe_fdw.counts import counted

_EXAMPLE: Final = "customer"
_READABLE: Final = """
    select count(*), count(*) filter (where has_any_column_privilege(c.oid, 'select'))
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = %s and c.relkind = %s and not starts_with(c.relname, '_')
"""
# A mapping is looked up for the role that reads, not for those that it is a member of. Superusers may read
# everything, and are not meant.
_WITHOUT_MAPPING: Final = """
    select r.rolname
      from pg_roles r
     where r.rolcanlogin and not r.rolsuper and r.rolname <> current_user
       and has_schema_privilege(r.oid, to_regnamespace(quote_ident(%(live)s)), 'usage')
       and not exists (
           select from pg_user_mappings m
            where m.srvname = %(server)s and (m.umuser = r.oid or m.umuser = 0))
       and exists (
           select from pg_class c
            where c.relnamespace = to_regnamespace(quote_ident(%(live)s)) and c.relkind = 'f'
              and has_table_privilege(r.oid, c.oid, 'select'))
     order by r.rolname
     limit 100
"""


def check_user_mapping(subject: Subject) -> Iterator[Finding]:
    """Whether the role has a key: a user mapping of its own, or that of PUBLIC."""
    server = subject.foreign_server
    if server is None:
        return
    role, name = subject.role, subject.schemas.server
    if subject.has_mapping:
        own = subject.value(
            "select true from pg_user_mappings where srvname = %s and usename = current_user limit 1", name
        )
        yield ok("user_mapping", f"role {role} uses {'its own' if own else 'that of PUBLIC'}")
        return
    message = f"role {role} has none on server {name}, and so no API key"
    if not subject.may_make_mapping:
        message += f"; it has no USAGE on the server either, so that its owner, role {server.owner}, makes it"
    fix = _create(subject, role)
    if role == server.owner:
        fix += f" -- or: {subject.schemas.key_variable}=rk_... {subject.init()}"
    yield problem("user_mapping", message, fix)


def check_other_roles(subject: Subject) -> Iterator[Finding]:
    """Whether all roles that may read foreign tables have a user mapping."""
    if subject.foreign_server is None:
        return
    rows = subject.connection.execute(
        _WITHOUT_MAPPING.encode(), {"live": subject.schemas.live, "server": subject.schemas.server}
    ).fetchall()
    names = [str(name) for (name,) in rows]
    if not names:
        yield ok("other_roles", "all that may read foreign tables have a user mapping")
        return
    yield warning(
        "other_roles",
        f"may read foreign tables, and have no user mapping, and so no API key: {listing(names)}",
        _create(subject, names[0]),
    )


def _create(subject: Subject, role: str) -> str:
    server = subject.quoted(subject.schemas.server)
    return (
        f"create user mapping for {subject.quoted(role)} server {server}"
        " options (api_key_file '/path/on/the/database/host');"
    )


def check_grants(subject: Subject) -> Iterator[Finding]:
    """Whether the role may read foreign tables, or copies."""
    schemas, role = subject.schemas, subject.role
    places = (
        (schemas.live, "f", "foreign tables", subject.foreign_server is not None),
        (schemas.views, "v", "copies", subject.has_copies),
    )
    readable, unreadable = [], []
    for schema, kind, what, is_there in places:
        if not is_there or subject.value("select to_regnamespace(quote_ident(%s))", schema) is None:
            continue
        row = subject.connection.execute(_READABLE.encode(), (schema, kind)).fetchone()
        total, may_read = row or (0, 0)
        if subject.value("select has_schema_privilege(%s, 'usage')", schema) is not True:
            unreadable.append((schema, f"has no USAGE on schema {schema}"))
        elif total and not may_read:
            unreadable.append((schema, f"may read none of the {what} in schema {schema}"))
        else:
            readable.append(f"{may_read} of {counted(total, 'table')} in schema {schema}")
    if readable:
        rest = "".join(f"; it {reason}" for _, reason in unreadable)
        if subject.foreign_server is not None and not subject.may_make_mapping:
            rest += f"; it has no USAGE on server {schemas.server}, which only making user mappings needs"
        yield ok("grants", f"role {role} may read {' and '.join(readable)}{rest}")
    elif unreadable:
        schema, grantee = subject.quoted(unreadable[0][0]), subject.quoted(role)
        yield problem(
            "grants",
            f"role {role} {', and '.join(reason for _, reason in unreadable)}",
            f"grant usage on schema {schema} to {grantee};"
            f" grant select on {schema}.{_EXAMPLE} to {grantee}; -- or other tables",
        )
