"""The receiver of webhooks, an ASGI application: an event is committed before it is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import orjson
import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stripe_fdw.database.schemas import SYNC_SCHEMA, Schemas
from stripe_fdw.events.destinations import Destination, Destinations
from stripe_fdw.events.event import Event, InvalidEventError
from stripe_fdw.events.group_commit import GroupCommit, RefusedEventError
from stripe_fdw.events.kept_connection import KeptConnection, UnavailableError
from stripe_fdw.events.request_limits import Bodies, RefusedBodyError
from stripe_fdw.events.signatures import TOLERANCE, is_signed, was_signed
from stripe_fdw.redaction import Secret
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

Say = Callable[[str], None]

_READY_SECONDS: Final = 1.0  # that an answer of `/readyz` is kept
_TELL_SECONDS: Final = 60.0  # between two lines about refused posts
_CAN_STORE: Final = """
    select has_table_privilege(to_regclass('stripe_sync.inbox'), 'insert')
"""


class Receiver:
    """Receives the events of all servers of a database."""

    def __init__(
        self, database_url: str, secrets_of: Callable[[Schemas], tuple[Secret, ...]], say: Say
    ) -> None:
        """Connect to nothing yet.

        ``secrets_of`` returns the secrets of a server that are not in the database. ``say`` is told what an
        operator should know.
        """
        self._say = say
        self._connection = KeptConnection(database_url, SYNC_SCHEMA, say)
        self._destinations = Destinations(self._connection, secrets_of)
        self._commits = GroupCommit(self._connection)
        self._bodies = Bodies()
        self._ready = asyncio.Lock()
        self._ready_until = 0.0
        self._readiness: str | None = None
        self._refused = 0
        self._told_at: float | None = None
        self.app = Starlette(
            routes=[
                Route("/webhooks/{server:path}", self._post, methods=["POST"]),
                Route("/healthz", _alive, methods=["GET"]),
                Route("/readyz", self._is_ready, methods=["GET"]),
            ],
            lifespan=self._lifespan,
        )
        self.app.router.redirect_slashes = False

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        commits = asyncio.create_task(self._commits.run())
        await self._tell_destinations()
        try:
            yield
        finally:
            commits.cancel()
            with suppress(asyncio.CancelledError):
                await commits
            await self._connection.close()

    async def _tell_destinations(self) -> None:
        try:
            await self._destinations.read()
        except UnavailableError:
            return  # which the connection has reported
        if not self._destinations.all:
            self._say("no server is installed in this database: run stripe-fdw init")
        for item in self._destinations.all:
            count = len(item.secrets)
            known = f"{count} signing secret{'s' * (count != 1)}" if count else "no signing secret"
            if odd := sum(not secret.reveal().startswith("whsec_") for secret in item.secrets):
                known += f" ({odd} without the prefix of Stripe's)"
            self._say(f"POST {path_of(item.schemas)}: events of server {item.schemas.server}, {known}")

    async def _post(self, request: Request) -> Response:
        """Take a webhook."""
        try:
            with self._bodies.reader() as reader:
                # The body is read in any case: its sender may not look for an answer before it has sent it.
                body = await reader.read(request)
                return await self._take(
                    request.path_params["server"], body, request.headers.get("stripe-signature")
                )
        except RefusedBodyError as error:
            return _text(error.status, error.text, close=True)
        except UnavailableError as error:
            return _text(503, error.message)

    async def _take(self, server: str, body: bytes, signature: str | None) -> Response:
        destination = await self._destinations.find(server)
        if destination is None:
            return _text(404, "there is no such server")
        if not is_signed(body, signature, destination.secrets):
            changed = await self._destinations.find_again(server)
            if changed is None or not is_signed(body, signature, changed.secrets):
                return self._refuse(changed or destination, body, signature)
        try:
            event = Event.parse(orjson.loads(body))
        except orjson.JSONDecodeError:
            return _text(400, "the body is no JSON")
        except InvalidEventError as error:
            return _text(400, error.message)
        try:
            await self._commits.store(destination.schemas, event)
        except RefusedEventError as error:
            self._say(f"{event.id}: {error.message}")
            return _text(400, error.message)
        return Response()  # no text is read: without one, the answer is sent as one piece

    def _refuse(self, destination: Destination, body: bytes, signature: str | None) -> Response:
        if not destination.secrets:
            text, status = "no signing secret of this server is known", 503  # so that Stripe sends it again
        elif not signature:
            text, status = "there is no Stripe-Signature", 400
        elif was_signed(body, signature, destination.secrets):
            text, status = f"the signature is more than {TOLERANCE // 60} minutes old by the clock here", 400
        else:
            text, status = "the signature is by no secret that is known, or not of scheme v1", 400
        self._refused += 1
        if self._told_at is None or time.monotonic() - self._told_at > _TELL_SECONDS:
            name = excerpt(destination.schemas.server, MAX_NAME_CHARACTERS)
            self._say(f"server {name}: refused {self._refused} post{'s' * (self._refused != 1)}: {text}")
            self._told_at, self._refused = time.monotonic(), 0
        return _text(status, text)

    async def _is_ready(self, _: Request) -> Response:
        """Answer whether events can be stored. The database is asked once a second at most."""
        async with self._ready:
            if time.monotonic() >= self._ready_until:
                self._readiness = await self._find_obstacle()
                self._ready_until = time.monotonic() + _READY_SECONDS
        return _text(503, self._readiness) if self._readiness else _text(200, "ready")

    async def _find_obstacle(self) -> str | None:
        async def can_store(connection: psycopg.AsyncConnection) -> object:
            row = await (await connection.execute(_CAN_STORE)).fetchone()
            return row and row[0]

        try:
            found = await self._connection.run(can_store)
        except UnavailableError as error:
            return f"{error.message}: {error.detail}" if error.detail else error.message
        if found is None:
            return (
                "the database has no inbox: after stripe-fdw init, stripe-fdw worker, refresh or"
                " webhook create makes it"
            )
        return None if found else "the role may not store events: grant INSERT on stripe_sync.inbox"


def path_of(schemas: Schemas) -> str:
    """Return the path of a server's webhooks."""
    return f"/webhooks/{'stripe' if schemas.is_default else schemas.server}"


async def _alive(_: Request) -> Response:
    return _text(200, "alive")


def _text(status: int, text: str, *, close: bool = False) -> Response:
    return PlainTextResponse(f"{text}\n", status, {"Connection": "close"} if close else None)
