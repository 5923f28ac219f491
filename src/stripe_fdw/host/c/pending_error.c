/*
 * pending_error.c: an SQL error that was caught below Python's frames, and is raised again once Python has
 * unwound.
 */
#include "host.h"

#include "miscadmin.h"

static ErrorData *pending = NULL;
static MemoryContext pending_context = NULL;

bool
error_is_pending(void)
{
	return pending != NULL;
}

/* In PG_CATCH: keep PostgreSQL's error, the first one if there are several. */
void
keep_pending_error(MemoryContext old)
{
	if (pending_context == NULL)
		pending_context = AllocSetContextCreate(TopMemoryContext, "stripe_fdw pending error",
												ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(pending_context);
	if (pending == NULL)
	{
		MemoryContextReset(pending_context);
		pending = CopyErrorData();
	}
	FlushErrorState();
	MemoryContextSwitchTo(old);
}

/*
 * At the end of an entry: a finalizer that Python's garbage collector ran saw an interrupt, and nothing else
 * did.  Set the flags again, so that PostgreSQL sees it.
 */
void
return_pending_error(void)
{
	if (pending != NULL && pending->sqlerrcode == ERRCODE_QUERY_CANCELED)
	{
		QueryCancelPending = true;
		InterruptPending = true;
	}
	pending = NULL;
}

void
throw_pending_error(void)
{
	ErrorData  *error = pending;

	if (error == NULL)
		return;
	pending = NULL;
	PyErr_Clear();
	ReThrowError(error);
}

/* Return true if an error is pending that has neither detail nor hint. */
bool
pending_error_is_bare(void)
{
	return pending != NULL && pending->detail == NULL && pending->hint == NULL;
}

void
add_to_pending_error(char *detail, char *hint)
{
	pending->detail = detail;
	pending->hint = hint;
}
