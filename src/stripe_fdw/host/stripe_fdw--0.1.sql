\echo Use "CREATE EXTENSION stripe_fdw" to load this file. \quit

CREATE FUNCTION stripe_fdw_handler() RETURNS fdw_handler
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT;

CREATE FUNCTION stripe_fdw_validator(text[], oid) RETURNS void
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT;

CREATE FOREIGN DATA WRAPPER stripe_fdw
    HANDLER stripe_fdw_handler
    VALIDATOR stripe_fdw_validator;

COMMENT ON FOREIGN DATA WRAPPER stripe_fdw IS 'Stripe as foreign tables';
