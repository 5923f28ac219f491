"""The names of a server: its own, and those of the schemas in which its account is shown."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Final

from stripe_fdw.catalog.model import Resource
from stripe_fdw.sql_quoting import quote_identifier

_KEY_VARIABLE: Final = "STRIPE_API_KEY"
_WEBHOOK_SECRET_VARIABLE: Final = "STRIPE_WEBHOOK_SECRET"  # noqa: S105 - a name
_NO_VARIABLE: Final = re.compile("[^A-Z0-9_]")
SYNC_SCHEMA: Final = "stripe_sync"  # of the state and the functions of all servers


@dataclass(frozen=True, slots=True)
class Schemas:
    """A foreign server, each for an account of its own, and its schemas.

    ``views`` is the schema of the views that applications read. The names of the others follow from it.
    """

    server: str = "stripe"
    views: str = "stripe"

    @property
    def live(self) -> str:
        """The schema of the foreign tables."""
        return f"{self.views}_live"

    @property
    def copies(self) -> str:
        """The schema of the tables of copies."""
        return f"{self.views}_copy"

    @property
    def all(self) -> tuple[str, str, str]:
        """The schemas of this server alone."""
        return self.views, self.live, self.copies

    @property
    def is_default(self) -> bool:
        """True for the server that is meant where none is named."""
        return "stripe" in (self.server, self.views)

    @property
    def key_variable(self) -> str:
        """The environment variable with the API key of the server's account."""
        return self._variable(_KEY_VARIABLE)

    @property
    def webhook_secret_variable(self) -> str:
        """The environment variable with the signing secrets of the server's webhooks."""
        return self._variable(_WEBHOOK_SECRET_VARIABLE)

    def _variable(self, default: str) -> str:
        """Return a variable of this server; its name has that of the server, but for the default one."""
        return default if self.is_default else f"{default}_{_NO_VARIABLE.sub('_', self.server.upper())}"

    @property
    def option(self) -> str:
        """The option of a command that names the server, after a space; nothing for the default server."""
        return "" if self.is_default else f" --server {shlex.quote(self.server)}"

    def label(self, resource: str) -> str:
        """Return the name of a resource in lines for people: with its server, unless that is the default."""
        return resource if self.is_default else f"{self.server}.{resource}"

    def table(self, resource: Resource) -> str:
        """Return the qualified name of the resource's copy."""
        return f"{quote_identifier(self.copies)}.{quote_identifier(resource.name)}"

    def view(self, resource: Resource) -> str:
        """Return the qualified name of the resource's view."""
        return f"{quote_identifier(self.views)}.{quote_identifier(resource.name)}"
