\echo Use "CREATE EXTENSION stripe_fdw" to load this file. \quit

CREATE FUNCTION stripe_fdw_handler() RETURNS pg_catalog.fdw_handler
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT
    SET search_path = pg_catalog, pg_temp;

CREATE FUNCTION stripe_fdw_validator(pg_catalog.text[], pg_catalog.oid) RETURNS pg_catalog.void
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT
    SET search_path = pg_catalog, pg_temp;

-- Postgres calls both itself, without asking for this privilege.
REVOKE EXECUTE ON FUNCTION stripe_fdw_handler(), stripe_fdw_validator(pg_catalog.text[], pg_catalog.oid) FROM PUBLIC;

CREATE FOREIGN DATA WRAPPER stripe_fdw
    HANDLER stripe_fdw_handler
    VALIDATOR stripe_fdw_validator;

COMMENT ON FOREIGN DATA WRAPPER stripe_fdw IS 'Stripe as foreign tables';
