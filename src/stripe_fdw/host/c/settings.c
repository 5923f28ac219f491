/*
 * settings.c: the settings stripe_fdw.*, which sessions change with SET.
 */
#include "host.h"

#include "utils/builtins.h"
#include "utils/guc.h"

#define DRY_RUN "stripe_fdw.dry_run"
#define REQUIRE_WHERE "stripe_fdw.require_where"

static bool dry_run = false;
static bool require_where = false;

/*
 * Raise an error for a value that was set before this module was loaded and is none: PostgreSQL would warn, and
 * take the default, with which writes are sent.
 */
static void
check_placeholder(const char *name)
{
	const char *value = GetConfigOption(name, true, false);
	bool		parsed;

	if (value != NULL && value[0] != '\0' && !parse_bool(value, &parsed))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"%s\": \"%s\"", name, value),
				 errhint("SET %s = on, or off.", name)));
}

/* Whether another module of this package has the setting, such as one that was compiled for another Python. */
static bool
is_defined(const char *name)
{
	return GetConfigOption(name, true, false) != NULL &&
		(GetConfigOptionFlags(name, true) & GUC_CUSTOM_PLACEHOLDER) == 0;
}

static void
define_setting(const char *name, const char *description, bool *value)
{
	check_placeholder(name);
	if (!is_defined(name))
		DefineCustomBoolVariable(name, description, NULL, value, false, PGC_USERSET, 0, NULL, NULL, NULL);
}

void
define_settings(void)
{
	define_setting(DRY_RUN, "Shows what writes would send to Stripe, and sends nothing.", &dry_run);
	define_setting(REQUIRE_WHERE, "Refuses UPDATE and DELETE without a condition that Stripe filters on.",
				   &require_where);
}

/* Whether a setting is on; *known is false for a name that is none of them.  Whichever module has it. */
bool
setting_is_on(const char *name, bool *known)
{
	const char *value = NULL;
	bool		on = false;

	*known = strcmp(name, DRY_RUN) == 0 || strcmp(name, REQUIRE_WHERE) == 0;
	if (*known)
		value = GetConfigOption(name, true, false);
	return value != NULL && parse_bool(value, &on) && on;
}
