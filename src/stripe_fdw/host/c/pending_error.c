/*
 * pending_error.c: an SQL error that was caught below Python's frames, and is raised again once Python has
 * unwound.
 */
#include "host.h"

#include "miscadmin.h"

/* Stands for an error that there is no memory to keep. */
static char out_of_memory[] = "out of memory";
static ErrorData no_memory = {
	.elevel = ERROR,
	.output_to_server = true,
	.output_to_client = true,
	.sqlerrcode = ERRCODE_OUT_OF_MEMORY,
	.message = out_of_memory,
};

static ErrorData *pending = NULL;
static MemoryContext pending_context = NULL;

bool
error_is_pending(void)
{
	return pending != NULL;
}

static ErrorData *
copy_error(void)
{
	if (pending_context == NULL)
		pending_context = AllocSetContextCreate(TopMemoryContext, "stripe_fdw pending error",
												ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(pending_context);
	MemoryContextReset(pending_context);
	return CopyErrorData();
}

/*
 * In PG_CATCH: keep PostgreSQL's error, the first one if there are several.  Python has frames above: it
 * never raises.
 */
void
keep_pending_error(MemoryContext old)
{
	if (pending == NULL)
	{
		PG_TRY();
		{
			pending = copy_error();
		}
		PG_CATCH();
		{
			no_memory.detail = NULL;
			no_memory.hint = NULL;
			pending = &no_memory;
		}
		PG_END_TRY();
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
