"""Settings of the command line from the environment. Postgres does not read them: it has server options."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from stripe_fdw import sqlstates
from stripe_fdw.errors import OptionError
from stripe_fdw.redaction import Secret


class Settings(BaseSettings):
    """Settings of the command line, each an environment variable."""

    model_config = SettingsConfigDict(env_prefix="STRIPE_FDW_", extra="ignore", frozen=True)

    database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL"),
        description="The database to install into, as libpq reads it.",
    )
    stripe_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("STRIPE_API_KEY"),
        description="The key that `init` stores in the user mapping.",
    )
    stripe_api_base: str | None = Field(
        default=None,
        validation_alias=AliasChoices("STRIPE_API_BASE"),
        description="Where the API is, if not at Stripe: https, or http on this machine.",
    )
    stripe_webhook_secret: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("STRIPE_WEBHOOK_SECRET"),
        description="The signing secrets of webhooks, separated by commas (`serve`).",
    )
    max_requests_per_second: float | None = Field(
        default=None,
        gt=0,
        description="Requests a second of the account, in place of Stripe's limit (`refresh`, `worker`).",
    )
    background_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="The share of the rate limits that `refresh`, `verify` and `worker` take.",
    )
    directory: Path = Field(
        default=Path(".dev"),
        description="Where `dev up` keeps the private Postgres, the logs and its state.",
    )
    shared_directory: Path | None = Field(
        default=None,
        description="Where processes on one machine share limits and invalidations "
        "(read from the server's own environment; default: a private folder in shared memory).",
    )

    def key_of(self, variable: str) -> str | None:
        """Return the API key in STRIPE_API_KEY, or in another server's variable; None if there is none."""
        key = self.stripe_api_key
        if variable == "STRIPE_API_KEY":
            return (key.get_secret_value() if key else "") or None
        return os.environ.get(variable) or None

    def webhook_secrets_of(self, variable: str) -> tuple[Secret, ...]:
        """Return the signing secrets in STRIPE_WEBHOOK_SECRET, or in another server's variable."""
        if variable == "STRIPE_WEBHOOK_SECRET":
            secret = self.stripe_webhook_secret
            text = secret.get_secret_value() if secret else ""
        else:
            text = os.environ.get(variable, "")
        return tuple(Secret(item.strip()) for item in text.split(",") if item.strip())


@cache
def settings() -> Settings:
    """Return the settings, read once. Raises OptionError if a variable has a value that it cannot have."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]  # the value may be a secret
        field = str(wrong["loc"][0])
        name = f"STRIPE_FDW_{field.upper()}" if field in Settings.model_fields else field.upper()
        message = str(wrong["msg"])
    raise OptionError(
        f"{name} has an invalid value: {message[:1].lower()}{message[1:]}",
        hint="docs/reference/settings.md lists the settings.",
        sqlstate=sqlstates.FDW_INVALID_ATTRIBUTE_VALUE,
    )
